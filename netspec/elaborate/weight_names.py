"""`weights` sections: what the names in a weights file become, checked against the network once it stands."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import islice

from netspec.diagnostics.model import Mark, Report, Severity
from netspec.diagnostics.nearest import nearest
from netspec.elaborate.build import origin
from netspec.elaborate.environment import Environment
from netspec.graph import Graph, Rename
from netspec.renaming import MOST, Renames, covers, is_pattern, matches
from netspec.syntax import tree

#: In how many names a like one is sought, and for how many renames.
_SOUGHT, _HELPED = 2_000, 10


def renames_of(sections: list[tuple[tree.Weights, Environment]], graph: Graph, report: Report) -> tuple[Rename, ...]:
    """The renames of a net's sections, each with the environment of the body in which it stands, in the order of expansion.

    A variant's come before those of its base. Findings: NS360 to NS364.
    """
    kept: dict[int, tree.Weights] = {}
    for section, env in sections:
        first = kept.setdefault(id(env), section)
        if first is not section:
            helps = ("write all renames into one: the first that fits a name applies",)
            also = (Mark(first.place, "the first one"),)
            report.error("NS360", "a net has one `weights` section", section.place, also=also, helps=helps)
    renames = [rename for section in reversed(kept.values()) for rename in section.renames]
    if len(renames) > MOST:
        report.error("NS360", f"a net has at most {MOST:,} renames", renames[MOST].place)
        return ()
    sound = [rename for rename in renames if _is_sound(rename, report)]
    for section in kept.values():  # that a variant's cover its base's is what they are there for
        _warn_of_covered([rename for rename in section.renames if _is_sound(rename)], report)
    _check_against(sound, [tensor.name for tensor in graph.weights], report)
    return tuple(Rename(old=rename.old, new=rename.new, origin=origin(rename.place)) for rename in sound)


def _is_sound(rename: tree.Rename, report: Report | None = None) -> bool:
    """Whether both sides are names, or both have one `*`; else it is reported, where there is a report."""
    old, new = rename.old, rename.new
    if not old or not new:
        message = "a name is not empty"
        helps = ('to drop a prefix, write `rename "module.*" -> "*"`',)
    elif not (is_pattern(old) and is_pattern(new)):
        message = "a name has at most one `*` in it, which stands for any text"
        helps = ("write a rename for each case",)
    elif ("*" in old) != ("*" in new):
        message = "a `*` stands on both sides of a rename, or on neither"
        side, name = ("right", new) if "*" in old else ("left", old)
        helps = (f'what `*` stands for has no place on the {side}: write `"{name}.*"`, perhaps',)
    else:
        return True
    if report is not None:
        report.error("NS361", message, rename.place, helps=helps)
    return False


def _warn_of_covered(renames: list[tree.Rename], report: Report) -> None:
    """Report renames that an earlier one leaves nothing to."""
    for place, rename in enumerate(renames):
        earlier = next((one for one in renames[:place] if covers(one.old, rename.old)), None)
        if earlier is not None:
            same = earlier.old == rename.old
            message = f'"{rename.old}" is never reached: ' + (
                "it has a rename already" if same else f'"{earlier.old}" is for every such name'
            )
            also = (Mark(earlier.place, "this one applies"),)
            helps = () if same else ("write what is particular before what is general",)
            report.error("NS362", message, rename.place, also=also, helps=helps, severity=Severity.WARNING)


def _check_against(renames: list[tree.Rename], names: list[str], report: Report) -> None:
    """Hold the right sides against the network's names."""
    ordered = sorted(names)
    known = {pattern: _stands(pattern, ordered) for pattern in dict.fromkeys(rename.new for rename in renames)}
    lost = [rename for rename in renames if rename.old != rename.new and not known[rename.new]]
    for count, rename in enumerate(lost):
        like = _like(rename.new, names) if count < _HELPED else None
        helps = (f"did you mean `{like}`?",) if like else ("`netspec summary` lists what the network stores",)
        message = f'the network stores nothing that is called "{rename.new}"'
        report.error("NS363", message, rename.place, helps=helps, severity=Severity.WARNING)
    become = Renames((rename.old, rename.new) for rename in renames)
    moved = [(name, new) for name in names if (new := become(name)) != name]
    if moved and {become(name) for name in names} == set(names):
        (old, new) = moved[0]
        place = next(rename.place for rename in renames if matches(rename.old, old))
        message = f"`{old}` becomes `{new}`, and the network's names remain its names: no file would show whether it is renamed yet"
        helps = ("label these layers as the file does: `L as name`",)
        report.error("NS364", message, place, helps=helps)


def _stands(pattern: str, ordered: list[str]) -> bool:
    """Whether a pattern is one of these names, which are in order."""
    head = pattern.partition("*")[0]
    for name in islice(ordered, bisect_left(ordered, head), None):
        if not name.startswith(head):
            return False
        if matches(pattern, name):
            return True
    return False


def _like(pattern: str, names: Iterable[str]) -> str | None:
    """The pattern with its beginning as the network's names, or their scopes, probably have it."""
    head, star, tail = pattern.partition("*")
    if not star:
        return next(iter(nearest(pattern, list(names)[:_SOUGHT])), None)
    stem = head.rstrip(".")
    depth = stem.count(".") + 1
    scopes = dict.fromkeys(".".join(name.split(".")[:depth]) for name in names if name.count(".") >= depth)
    found = nearest(stem, list(scopes)[:_SOUGHT]) if stem else []
    return f"{found[0]}{head[len(stem) :]}*{tail}" if found and found[0] != stem else None
