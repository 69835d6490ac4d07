"""All conditions of a network together: the exact set of values of each open size, and what ties several sizes.

Conditions on several sizes are taken apart where they factor (`factor.py`); what is known of each size then decides more of
them, so the two steps alternate until nothing new comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace

from netspec.record import record
from netspec.sizes.dim import Dim
from netspec.sizes.factor import factor
from netspec.sizes.solution import Solution
from netspec.sizes.solve import Condition, alone, solve

#: How often conditions on several sizes are looked at again with what is known of each by then.
ROUNDS = 4
#: How many conditions are tried one by one, to find those that cannot be decided.
MAX_TRIED = 200
#: How far from a size that does not fit the nearest that does is looked for, where that is a search.
REACH = 4096


@record
class Piece:
    """A condition that one or more of the given ones come to; `sources` are their numbers."""

    condition: Condition
    sources: tuple[int, ...]


@record
class System:
    """What conditions on open sizes come to, all of them taken together.

    `solutions` is the exact set of each size, by what is asked of it alone, and `alone` the pieces that ask for it. `joint` are
    the conditions on several sizes that do not factor and do not follow from the sets: they hold on top. `undecided` are those
    on one size whose set cannot be worked out: they can be evaluated, and nothing more. `same` are sizes that must be equal,
    each with the first of its kind: they have the same set, and change together.
    """

    solutions: Mapping[str, Solution]
    alone: Mapping[str, tuple[Piece, ...]]
    joint: tuple[Piece, ...] = ()
    undecided: tuple[Piece, ...] = ()
    same: Mapping[str, str] = field(default_factory=dict)

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether a network is well defined at these sizes, which must be all that it has. Raises KeyError for one missing."""
        others = (*self.joint, *self.undecided)
        return all(sizes[name] in solution for name, solution in self.solutions.items()) and all(p.condition.at(sizes) for p in others)

    def broken(self, sizes: Mapping[str, int]) -> tuple[str, ...]:
        """The names of the sizes at fault, in order: those outside of their sets, and those of other conditions that fail."""
        found = [name for name, solution in self.solutions.items() if name in sizes and sizes[name] not in solution]
        for piece in (*self.joint, *self.undecided):
            names = piece.condition.names()
            if names <= sizes.keys() and names.isdisjoint(found) and not piece.condition.at(sizes):
                found.extend(sorted(names))
        return tuple(name for name in self.solutions if name in found)

    def nearest(self, name: str, sizes: Mapping[str, int]) -> tuple[int | None, int | None]:
        """The greatest value of one size that is at most that in `sizes` and fits, and the least that is at least it and fits.

        The other sizes stay as given, but for those that must equal it. None where there is no such value (or, past conditions
        that are not decided, none near).
        """
        first = self.same.get(name, name)
        moving = {other: Dim.name(name) for other in self.solutions if self.same.get(other, other) == first}
        others = [p.condition for p in (*self.joint, *self.undecided) if not p.condition.names().isdisjoint(moving)]
        conditions = [condition.substitute({**sizes, **moving}) for condition in others if condition.names() <= sizes.keys()]
        solution = self.solutions[name]
        if not conditions:
            return solution.nearest(sizes[name])
        here = {first: Dim.name(name)}
        tied = solve([*(p.condition.substitute(here) for p in self.alone[name]), *conditions], name)
        if tied.decided:
            return tied.nearest(sizes[name])
        near = [_search(solution, conditions, name, sizes[name], step) for step in (-1, 1)]
        return near[0], near[1]

    def repairs(self, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """For each size at fault, the nearest values that fit, one or two; () where there are none.

        Sizes that only a condition on several of them breaks are alternatives: changing any one of them is enough.
        """
        found = {}
        for name in self.broken(sizes):
            below, above = self.nearest(name, sizes)
            found[name] = tuple(dict.fromkeys(value for value in (below, above) if value is not None))
        return found

    def needed(self, names: Iterable[str]) -> tuple[str, ...]:
        """What must hold of some of the sizes, in words: `("H % 16 == 0", "W % 16 == 0")`."""
        wanted = set(names)
        asked = [solution for name, solution in self.solutions.items() if name in wanted and not solution.everything]
        alone_ = [text for solution in asked for text in solution.parts()]
        others = [str(p.condition) for p in (*self.joint, *self.undecided) if not wanted.isdisjoint(p.condition.names())]
        return tuple(dict.fromkeys((*alone_, *others)))

    def advice(self, sizes: Mapping[str, int]) -> str:
        """What to change, in words: "the nearest sizes that work: H = 224 or H = 240; W = 224 or W = 240". Empty where all is well."""
        repairs = self.repairs(sizes)
        impossible = [name for name in repairs if self.solutions[name].empty]
        if impossible:
            return f"no {impossible[0]} works: the conditions on it contradict each other"
        either = "" if any(sizes[name] not in self.solutions[name] for name in repairs) else ", or "  # one of them is enough
        found = [" or ".join(f"{name} = {value}" for value in values) for name, values in repairs.items() if values]
        return f"the nearest sizes that work: {(either or '; ').join(found)}" if found else ""


def _search(solution: Solution, conditions: Sequence[Condition], name: str, value: int, step: int) -> int | None:
    for _ in range(REACH):
        if value < 1:
            return None
        if value in solution and all(condition.at({name: value}) for condition in conditions):
            return value
        value += step
    return None


def put_together(conditions: Sequence[Condition], names: Iterable[str]) -> System:
    """Solve conditions on the open sizes `names`, which are all that they are about."""
    work = _Work(list(names))
    for number, condition in enumerate(conditions):
        work.take(condition, (number,), factor(condition))
    work.equate()
    solutions = work.solutions()
    for _ in range(ROUNDS if work.joint else 0):
        before, work.joint = work.joint, {}
        for condition, sources in before.items():
            work.take(condition, sources, factor(condition, solutions))
        if work.joint == before:
            break
        solutions = work.solutions()
    return work.system(solutions)


class _Work:
    """Conditions by the size that they are about, with the numbers of those that they come from, while they are sorted."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.single: dict[str, dict[Condition, list[int]]] = {name: {} for name in names}
        self.joint: dict[Condition, list[int]] = {}
        self.undecided: dict[Condition, list[int]] = {}
        self.ties: dict[Condition, list[int]] = {}
        self.same: dict[str, str] = {}

    def take(self, whole: Condition, sources: Iterable[int], parts: Iterable[Condition]) -> None:
        """Each part to the size that it is about, or to the joint ones; one that nothing satisfies to a size of the whole."""
        for part in parts:
            owners = sorted(part.names() or whole.names() or self.names[:1])
            table = self.joint if len(owners) > 1 and part.names() else self.single[self.same.get(owners[0], owners[0])]
            known = table.setdefault(part, [])
            known.extend(number for number in sources if number not in known)

    def equate(self) -> None:
        """Sizes that must be equal become one: what is asked of any is asked of the first."""
        for condition in [c for c in self.joint if _is_tie(c)]:
            first, *others = sorted((self.same.get(n, n) for n in condition.names()), key=self.names.index)
            self.ties[condition] = self.joint.pop(condition)
            moved = {name: first for name in self.names if self.same.get(name, name) in others}
            self.same.update(moved)
        if not self.same:
            return
        replaced = {name: Dim.name(first) for name, first in self.same.items()}
        tables = [*(self.single[name] for name in self.same), self.joint]
        waiting = [(condition, sources) for table in tables for condition, sources in table.items()]
        for table in tables:
            table.clear()
        for condition, sources in waiting:
            changed = condition.substitute(replaced)
            self.take(changed, sources, factor(changed))

    def solutions(self) -> dict[str, Solution]:
        """The set of each size; the sizes that are one have the same."""
        found = {name: _solved(name, self.single[name], self.undecided) for name in self.names if name not in self.same}
        return {name: replace(found[self.same.get(name, name)], name=name) for name in self.names}

    def system(self, solutions: Mapping[str, Solution]) -> System:
        """The result."""
        pieces = {name: tuple(_pieces(self.single[self.same.get(name, name)])) for name in self.names}
        return System(solutions, pieces, tuple(_pieces({**self.ties, **self.joint})), tuple(_pieces(self.undecided)), self.same)


def _is_tie(condition: Condition) -> bool:
    """Whether it says that two open sizes are equal."""
    difference = condition.difference
    if condition.relation != "==" or not isinstance(difference, Dim) or difference.constant:
        return False
    terms = difference.terms
    alone_ = all(len(monomial) == 1 and isinstance(monomial[0], str) for monomial in terms)
    return alone_ and len(terms) == 2 and sum(terms.values()) == 0


def _pieces(table: Mapping[Condition, list[int]]) -> list[Piece]:
    return [Piece(condition, tuple(sources)) for condition, sources in table.items()]


def _solved(name: str, table: dict[Condition, list[int]], undecided: dict[Condition, list[int]]) -> Solution:
    """The set of one size; conditions that stand in the way of one move from `table` to `undecided`."""
    _keep_strongest(name, table)
    solution = solve(table, name)
    if solution.decided:
        return solution
    for condition in [c for c in table if not alone(c, name).decided]:
        undecided[condition] = table.pop(condition)
    solution = solve(table, name)
    if solution.decided:
        return solution
    tried, kept = list(table), []
    for number, condition in enumerate(tried):
        if number < MAX_TRIED and solve([*kept, condition], name).decided:
            kept.append(condition)
        else:
            undecided[condition] = table.pop(condition)
    return solve(kept, name)


def _keep_strongest(name: str, table: dict[Condition, list[int]]) -> None:
    """Of lower bounds `a * H >= b` only the greatest stays: a deep network asks for hundreds."""
    bounds: dict[Condition, int] = {}
    variable = (name,)
    for condition in table:
        difference = condition.difference if condition.relation == ">=" else 0
        if isinstance(difference, Dim) and len(difference.terms) == 1 and difference.terms.get(variable, 0) > 0:
            bounds[condition] = -(difference.constant // difference.terms[variable])
    strongest = max(bounds, key=bounds.__getitem__, default=None)
    for condition in bounds:
        if condition != strongest:
            del table[condition]
