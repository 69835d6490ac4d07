"""What a `train` section asks of the data: for every column that a loss or a metric names, the forms that suit all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Mapping

from netspec.op import Reject
from netspec.recipe.entry import Wanted
from netspec.recipe.loss import Loss, agree
from netspec.recipe.metric import Metric
from netspec.recipe.section import Section, Term
from netspec.sizes.dim import show
from netspec.sizes.tensor import TensorType

if TYPE_CHECKING:
    from netspec.graph import Graph

#: which kinds of numbers are also of another kind; where two meet, the narrower one stays
_NARROWER = {
    ("index", "float"), ("share", "float"), ("mask", "float"), ("count", "float"), ("mask", "share"), ("index", "count"), ("mask", "count"),
}  # fmt: skip
#: how the name of a column ends that batches make for one of unequal length: how long each sample is
LENGTHS = ".lengths"


def wanted(graph: "Graph", section: Section) -> dict[str, tuple[Wanted, ...]]:
    """Forms by column, in the order in which the loss, then the metrics mention them. Lengths that batches make themselves are no columns.

    Raises `Reject` (NS354) where the net's tensors do not fit a measure, or no column could suit all that name it.
    """
    found: dict[str, tuple[Wanted, ...]] = {}
    for term in (*section.loss, *section.metrics):
        _add(found, graph, section, term)
    return found


def misfits(graph: "Graph", section: Section) -> Iterator[tuple[Term, Reject]]:
    """What `wanted` would raise, of each term by itself, with the term at fault: for diagnostics.

    Where there is no loss, metrics that leave their tensors to it are passed over.
    """
    found: dict[str, tuple[Wanted, ...]] = {}
    for term in (*section.loss, *(term for term in section.metrics if section.loss or term.tensors)):
        try:
            _add(found, graph, section, term)
        except Reject as reject:
            yield term, reject


def _add(found: dict[str, tuple[Wanted, ...]], graph: "Graph", section: Section, term: Term) -> None:
    """Put what one term asks of the data to what others do."""
    if term.measure.SLOT == "penalty":
        return
    whole = complete(term, section)
    given = given_types(graph, whole)
    if isinstance(whole.measure, Metric):
        forms = whole.measure.beside(given, judged(graph, section, whole))
    else:
        forms = whole.measure.wants(given)
    for name, reference in whole.tensors:
        if reference.kind == "target" and not (reference.name.endswith(LENGTHS) and "engths" in name):
            found[reference.name] = _met(reference.name, found.get(reference.name), forms.get(name, ()))


def given_types(graph: "Graph", term: Term) -> dict[str, TensorType]:
    """The types of the net's tensors among those of a term, by the measure's names: what `Measure.wants` is given."""
    types = {
        **{("input", port.name): graph.values[port.value].type for port in graph.inputs},
        **{("output", port.name): graph.values[port.value].type for port in graph.outputs},
    }
    return {name: types[r.kind, r.name] for name, r in term.tensors if (r.kind, r.name) in types}


def complete(term: Term, section: Section) -> Term:
    """A metric with tensors: those of the loss's first term that compares two, where it has none of its own. Raises `Reject`."""
    if term.tensors or not isinstance(term.measure, Metric):
        return term
    names = (*term.measure.TENSORS, *term.measure.OPTIONAL)
    for loss in section.loss:
        tensors = dict(loss.tensors)
        if isinstance(loss.measure, Loss) and set(term.measure.TENSORS) <= set(tensors):
            return term.model_copy(update={"tensors": tuple((name, tensors[name]) for name in names if name in tensors)})
    raise Reject(
        "NS354", f"{term.measure.NAME} has no tensors of its own, and the loss compares none: write {term.measure.NAME}(output, target)"
    )


def judge_of(section: Section, term: Term) -> Loss | None:
    """The loss of the output that a (complete) metric is about: it says what the output's numbers mean. None where there is none."""
    prediction = dict(term.tensors)[term.measure.TENSORS[0]]
    for loss in section.loss:
        if isinstance(loss.measure, Loss) and dict(loss.tensors).get("input") == prediction and "target" in loss.measure.TENSORS:
            return loss.measure
    return None


def judged(graph: "Graph", section: Section, term: Term) -> Loss | None:
    """The same; the metric fits that loss, and its tensors one another. Raises `Reject` (NS354)."""
    loss, given = judge_of(section, term), given_types(graph, term)
    term.measure.beside(given, loss)
    term.measure.fits(given[term.measure.TENSORS[0]], loss)
    return loss


def describe(form: Wanted) -> str:
    """`classes 0 to 9 of shape [N]`."""
    axes = f"[{', '.join(map(show, form.shape))}]"
    words = {"float": "numbers", "share": "numbers from 0 to 1", "mask": "booleans", "count": "lengths", "index": "classes"}[form.kind]
    return f"{words}{f' 0 to {form.below - 1}' if form.below is not None else ''} of shape {axes}"


def _met(column: str, before: tuple[Wanted, ...] | None, forms: tuple[Wanted, ...]) -> tuple[Wanted, ...]:
    """The forms that suit both. Raises `Reject` where there is none."""
    if before is None:
        return forms
    both = tuple(dict.fromkeys(form for a in before for b in forms if (form := meet(a, b)) is not None))
    if not both:
        left, right = (" or ".join(map(describe, some)) for some in (before, forms))
        raise Reject("NS354", f"`{column}` cannot be both {left}, and {right}", argument=column)
    return both


def meet(left: Wanted, right: Wanted) -> Wanted | None:
    """The form of what suits both, or None where nothing does. Where a size is open in one of them and a number in the other, it is the
    number, and the open sizes, which the net's inputs may define, are kept in `also`."""
    if not agree(left.shape, right.shape):
        return None
    if left.kind != right.kind and (left.kind, right.kind) not in _NARROWER and (right.kind, left.kind) not in _NARROWER:
        return None
    narrow = left if left.kind == right.kind or (left.kind, right.kind) in _NARROWER else right
    bounds = [form.below for form in (left, right) if form.below is not None]
    ignored = _ignored(left, right)
    shape = tuple(a if isinstance(a, int) else b for a, b in zip(left.shape, right.shape))
    also = dict.fromkeys((left.shape, right.shape, *left.also, *right.also))
    return Wanted(narrow.kind, shape, min(bounds, default=None), ignored, tuple(other for other in also if other != shape))


def _ignored(left: Wanted, right: Wanted) -> int | None:
    """The value that is allowed besides: where one form does not speak of classes, or says nothing, the other's."""
    return left.ignore if left.ignore is not None else right.ignore


def columns(found: Mapping[str, tuple[Wanted, ...]]) -> str:
    """All of it in words, a line a column."""
    return "\n".join(f"{name}: {' or '.join(map(describe, forms))}" for name, forms in found.items())
