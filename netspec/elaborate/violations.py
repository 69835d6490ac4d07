"""Typical sizes that break a condition of the network: what is said of them, once everything that it asks for is known.

A broken condition does not stop the expansion: shapes are symbolic, and the rest of the network may ask for more. So the sizes
that are named as the nearest that work satisfy all conditions, not just the first one that failed.
"""

from __future__ import annotations

from netspec.diagnostics.model import Mark, Report
from netspec.elaborate.build import Builder, RequirementDraft
from netspec.record import record
from netspec.sizes.dim import Size, evaluate, show
from netspec.sizes.solve import Condition
from netspec.source import Place

#: Codes of what the author says, rather than what follows from it: each that is broken is reported.
_PROMISES = frozenset({"NS414", "NS501"})
#: The code of weights made for the typical sizes: they will be made for others once those are mended.
_MADE_FOR_TYPICAL = "NS405"


@record
class Violation:
    """A requirement that the typical sizes break, and how to show it: the place, other marks, facts, applications around it."""

    requirement: RequirementDraft
    place: Place
    also: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()
    trail: tuple[Mark, ...] = ()


def report_violations(violations: list[Violation], builder: Builder, report: Report) -> None:
    """One error for every size that breaks something, at the first place where it does; and one for every broken promise."""
    if not violations:
        return
    needed, helps = _advice(builder)
    seen: set[str] = set()
    for first in violations:
        code = first.requirement.code
        names = first.requirement.condition.names()
        if code not in _PROMISES and names <= seen:
            continue
        here = [v.requirement for v in violations if v.place == first.place and v.requirement.code == code]
        for requirement in here if code not in _PROMISES else ():
            seen |= requirement.condition.names()
        more = [f"likewise: {_fact(r.condition, builder.sizes)}" for r in here[1:] if not r.condition.names() <= names]
        message = f"{first.requirement.reason}: {_fact(first.requirement.condition, builder.sizes)}"
        notes = (*first.notes, *more, *needed)
        report.error(code, message, first.place, also=first.also, notes=notes, helps=helps, trail=first.trail)


def _fact(condition: Condition, sizes: dict[str, int]) -> str:
    """`at H = 225, H = 225 is not 2 * (H // 2) = 224`."""
    given = ", ".join(f"{name} = {sizes[name]}" for name in sorted(condition.names()))
    sign = "is not" if condition.relation == "==" else "is less than"
    try:
        left, right = (_valued(side, sizes) for side in (condition.left, condition.right))
    except ZeroDivisionError:
        return f"at {given}, {condition} divides by zero"
    return f"at {given}, {left} {sign} {right}"


def _valued(size: Size, sizes: dict[str, int]) -> str:
    """`2 * (H // 2) = 224`; of a number, the number."""
    return str(size) if isinstance(size, int) else f"{show(size)} = {evaluate(size, sizes)}"


def _advice(builder: Builder) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the network needs of the sizes at fault, as a note; and the nearest that work, as a help."""
    from netspec.sizes.system import put_together

    kept = [r.condition for r in builder.requirements.values() if r.code != _MADE_FOR_TYPICAL]
    system = put_together(kept, builder.sizes)
    faulty = system.broken(builder.sizes)
    needed, nearest = ", ".join(system.needed(faulty)), system.advice(builder.sizes)
    return (f"the network needs {needed}",) if needed else (), (nearest,) if nearest else ()
