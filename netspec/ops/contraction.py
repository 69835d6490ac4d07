"""Sums of products, written by the names of their axes."""

import re
from string import ascii_letters
from typing import ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site
from netspec.ops._broadcast import known
from netspec.ops._inputs import require_floats
from netspec.reach import Reach, Same
from netspec.sizes.dim import Size, product, total
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Torch, call, op

#: the names of the axes of one operand: a letter each; those that `...` stands for are numbered from the right
Labels = tuple[str, ...]
_TERM = re.compile(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*")


@final
class Einsum(Operator):
    """A sum of products, by the names of axes: `(q, k) -> einsum("bhid,bhjd->bhij")` multiplies wherever the same letters
    have the same values, and sums over the letters that are not behind the arrow.

    One input or more, of one floating-point type. Axes of one letter are equally long (NS412).

    equation: a term of letters for every input, joined by commas, an arrow, and the term of the output. `...` in a term
        stands for all axes that no letter names. A letter stands once in a term.

    PyTorch: `torch.einsum`. ONNX: Einsum. Multiply-adds are counted from left to right, two inputs at a time.
    """

    NAME: ClassVar[str] = "einsum"
    FAMILY: ClassVar[str] = "linear"
    ARITY: ClassVar[int | tuple[int, int | None]] = (1, None)
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts('einsum("nhid,nhjd->nhij")', ("[N, 2, L = 5, 8]", "[N, 2, S = 6, 8]"), "[N, 2, L, S]"),
        Accepts('einsum("nct,cd->ndt")', ("[N, 3, T]", "[3, 4]"), "[N, 4, T]"),
        Accepts('einsum("...id, ...jd -> ...ij")', ("[N, 2, T = 5, 4]", "[N, 2, S = 3, 4]"), "[N, 2, T, S]"),
        Accepts('einsum("ncij->nc")', ("[N, C = 3, H = 4, W = 5]",), "[N, C]"),
        Accepts('einsum("nij->nji")', ("[N, 3, T]",), "[N, T, 3]"),
        Accepts('einsum("ni,nj->nij")', ("[N, 3]", "[N, 4]"), "[N, 3, 4]"),
        Accepts('einsum("ni,ij,nj->n")', ("[N, 3]", "[3, 4]", "[N, 4]"), "[N]"),
        Rejects('einsum("nij,njk->nik")', ("[N, 3, 4]", "[N, 5, 6]"), "NS412"),
        Rejects('einsum("ij,jk->ik")', ("[N, 3, 4]", "[N, 4, 6]"), "NS401"),
        Rejects('einsum("ij,jk->ik")', ("[N, 4]",), "NS310"),
        Rejects('einsum("ij,jk")', ("[N, 4]", "[4, 3]"), "NS310"),
        Rejects('einsum("ij->ik")', ("[N, 4]",), "NS310"),
        Rejects('einsum("ii->i")', ("[4, 4]",), "NS310"),
        Rejects('einsum("ij->i")', ("int64 [4, 4]",), "NS403"),
        Rejects('einsum("i j;->i")', ("[4, 4]",), "NS310"),
    )

    equation: str = Field(description="what to sum, by letters: nhid,nhjd->nhij")

    def _terms(self, inputs: tuple[TensorType, ...]) -> tuple[list[Labels], Labels]:
        """The labels of every input, and of the output. Rejects (NS310) an equation that is none, or none of these inputs."""
        left, arrow, right = self.equation.replace(" ", "").partition("->")
        written = left.split(",")
        if not arrow or any(_TERM.fullmatch(t) is None for t in (*written, right)):
            raise Reject("NS310", f'"{self.equation}" is no equation', argument="equation", help='write "nij,njk->nik"')
        if len(written) != len(inputs):
            message = f"the equation has {len(written)} terms for {len(inputs)} inputs"
            raise Reject("NS310", message, argument="equation", help="one term for every input, joined by commas")
        terms = [_labels(term, x.rank, number) for number, (term, x) in enumerate(zip(written, inputs))]
        unnamed = max((sum(not label.isalpha() for label in t) for t in terms), default=0)
        output = _spelt(right, unnamed)
        for label in output:
            if not any(label in t for t in terms):
                raise Reject("NS310", f"the axis {label} behind the arrow is in no input", argument="equation")
        for term in (*terms, output):
            if len(set(term)) < len(term):
                raise Reject("NS310", "a letter stands twice in a term", argument="equation", help="a diagonal has no operator here")
        return terms, output

    def _sizes(self, inputs: tuple[TensorType, ...]) -> dict[str, Size]:
        """The length of every named axis."""
        found: dict[str, Size] = {}
        for term, x in zip(self._terms(inputs)[0], inputs):
            for label, size in zip(term, x.shape):
                found[label] = known(found.get(label, size), size)
        return found

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The lengths of the axes that the output names."""
        require_floats(self.NAME, *inputs)
        for number, x in enumerate(inputs):
            if x.dtype != inputs[0].dtype:
                raise Reject("NS403", f"`einsum` takes one element type, not {inputs[0].dtype} and {x.dtype}", input=number)
        terms, output = self._terms(inputs)
        first: dict[str, Size] = {}
        for term, x in zip(terms, inputs):
            for label, size in zip(term, x.shape):
                need.equal(first.setdefault(label, size), size, f"the axes {label} differ" if label.isalpha() else "axes of `...` differ")
        sizes = self._sizes(inputs)
        return inputs[0].with_shape(tuple(sizes[label] for label in output))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The same position along the axes that the output names, all of the others."""
        terms, output = self._terms(inputs)
        return (Reach(tuple(tuple(Same(term.index(label)) if label in term else None for label in output) for term in terms)),)

    def pairs(self, inputs: tuple[TensorType, ...]) -> list[tuple[Size, Size]]:
        """What is multiplied from left to right, a pair at a time: the multiply-adds, and the numbers that come of them."""
        (first, *others), output = self._terms(inputs)
        sizes, found, have = self._sizes(inputs), [], set(first)
        for number, term in enumerate(others, start=1):
            later = set(output).union(*others[number:])
            both = (have & (later | set(term))) | (set(term) & (later | have))  # what only one of them has is summed before
            summed = both - later
            have = both & later
            found.append((product(map(sizes.__getitem__, both)) if summed else 0, product(map(sizes.__getitem__, have))))
        return found

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """For every pair the product of all its axes, if one of them is summed; a mere product counts no multiply-add."""
        return total(each for each, _ in self.pairs(inputs))

    def torch(self, site: Site) -> Torch:
        """`torch.einsum("ij,jk->ik", x, y)`."""
        return Torch(forward=call("torch.einsum", self.equation, *(In(i) for i in range(len(site.inputs)))))

    def onnx(self, site: Site) -> OnnxTerm:
        """Einsum, in which every axis has a letter."""
        terms, output = self._terms(site.inputs)
        names = {label for term in terms for label in term}
        free = iter(letter for letter in ascii_letters if letter not in names)
        letters = {label: label if label.isalpha() else next(free) for label in sorted(names)}
        spelt = ["".join(letters[label] for label in term) for term in (*terms, output)]
        return op("Einsum", *(In(i) for i in range(len(terms))), equation=f"{','.join(spelt[:-1])}->{spelt[-1]}")


def _spelt(term: str, unnamed: int) -> Labels:
    """A term with `...` as so many numbered axes."""
    before, dots, after = term.partition("...")
    return (*before, *(str(i) for i in reversed(range(unnamed))), *after) if dots else tuple(before)


def _labels(term: str, rank: int, number: int) -> Labels:
    """The labels of an input of so many axes. Rejects (NS401) a term that names more, or fewer without `...`."""
    named = len(term.replace("...", ""))
    if named > rank or (named < rank and "..." not in term):
        raise Reject("NS401", f"the term {term} names {named} axes of {rank}", input=number, argument="equation")
    return _spelt(term, rank - named)
