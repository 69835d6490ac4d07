"""A comparison as people read it: what was done to the network, then what that comes to, then what a checkpoint does."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.analyses.diff.folding import Move, fold_changed, fold_pieces, fold_renamed, grouped, places, relative
from netspec.analyses.diff.model import Change, Changed, Checkpoint, Consequence, Difference, Piece, Stored
from netspec.analyses.diff.words import rename
from netspec.diagnostics.render import show

_COLOURS = {"+": "32", "-": "31", "~": "33", ">": "36"}
_WORDS = {"parameters": "parameters", "macs": "multiply-adds", "activation_bytes": "peak memory", "training_bytes": "training memory"}
#: How many lines of one kind are shown, and how wide a subject may be for the others to line up with it.
_LINES, _WIDTH = 20, 34
#: How long a value may be that is shown whole, and how much is shown beside what differs in a longer one.
_LONG, _CONTEXT = 60, 12

#: Sign, subject, what changed.
Line = tuple[str, str, str]


def text_of(difference: Difference, colour: bool = False) -> str:
    """The whole text; `colour` paints the signs for a terminal."""
    if difference.same:
        same = f"{show(difference.old)} and {show(difference.new)}: the same network"
        otherwise = [f", {how} otherwise" for how, changes in _beside(difference).items() if changes]
        return "\n".join([same + "".join(otherwise), *_columns(_training(difference), colour)])
    head = [_paint("-", colour, f" {show(difference.old)}"), _paint("+", colour, f" {show(difference.new)}")]
    facts = [list(map(show, part)) for part in (_consequences(difference.consequences), _checkpoint(difference.checkpoint))]
    return "\n\n".join("\n".join(part) for part in (head, _columns(_edits(difference), colour), *facts) if part)


def _paint(sign: str, colour: bool, text: str = "") -> str:
    return f"\x1b[{_COLOURS[sign]}m{sign}{text}\x1b[0m" if colour else sign + text


def _columns(lines: list[Line], colour: bool) -> list[str]:
    width = max((len(subject) for _, subject, _ in lines if len(subject) <= _WIDTH), default=0)
    return [f"{_paint(sign, colour, f' {show(subject):<{width}}')}  {show(what)}".rstrip() for sign, subject, what in lines]


def _edits(d: Difference) -> list[Line]:
    """What was done, the net as a whole first."""
    lines: list[Line] = [("~", "net", _all(d.net))] if d.net else []
    ports = [_plain(c) for c in (*d.sizes, *d.ports)]
    lines += ports[:_LINES] + ([("~", f"… and {len(ports) - _LINES} more", "")] if len(ports) > _LINES else [])
    lines += _some("~", [_changed(group, "blocks") for group in fold_changed(d.blocks)])
    lines += _some("-", [_piece(group) for group in fold_pieces(d.removed)])
    lines += _some("+", [_piece(group) for group in fold_pieces(d.added)])
    lines += _some("~", [_changed(group, "layers") for group in fold_changed(c for c in d.changed if c.causes)])
    follow = sum(not c.causes for c in d.changed)
    if follow:
        lines.append(("~", _count(follow, "layer"), f"{'follows' if follow == 1 else 'follow'} in shape: {_example(d)}"))
    lines += _some(">", [_move(move) for move in fold_renamed(r for r in d.renamed if r.stores)])
    others = sum(not r.stores for r in d.renamed)
    if others:
        lines.append((">", _count(others, "layer") + " without weights", "under another label"))
    return lines + _training(d)


def _training(d: Difference) -> list[Line]:
    return [_plain(change) for changes in _beside(d).values() for change in changes]


def _beside(d: Difference) -> dict[str, tuple[Change, ...]]:
    """What is different beside the network itself."""
    return {"trained": d.training, "its weights named": d.weight_names}


def _plain(change: Change) -> Line:
    sign = "~" if change.old is not None and change.new is not None else "+" if change.old is None else "-"
    return sign, f"{change.kind} {change.what}" if change.kind in ("input", "output") else change.what, _arrow(change)


def _arrow(change: Change) -> str:
    if change.old is not None and change.new is not None:
        return " -> ".join(_apart(change.old, change.new))
    return next(text for text in (change.old, change.new) if text is not None)


def _apart(old: str, new: str) -> tuple[str, str]:
    """Two long texts around where they begin and end to differ; short ones as they are."""
    if max(len(old), len(new)) <= _LONG:
        return old, new
    shared = min(len(old), len(new))
    front = next((i for i in range(shared) if old[i] != new[i]), shared)
    back = next((i for i in range(shared - front) if old[-1 - i] != new[-1 - i]), shared - front)
    return _around(old, front, back), _around(new, front, back)


def _around(text: str, front: int, back: int) -> str:
    """A text without most of its first `front` and last `back` characters, and at most so long."""
    first, last = max(front - _CONTEXT, 0), len(text) - max(back - _CONTEXT, 0)
    inside = text[first:last] if last - first <= _LONG else f"{text[first : first + _LONG // 2]} … {text[last - _LONG // 2 : last]}"
    return ("… " if first else "") + inside + (" …" if last < len(text) else "")


def _all(changes: Iterable[Change]) -> str:
    return "; ".join(_word(c) + _both(c) for c in changes)


def _both(change: Change) -> str:
    """Before and after, for what may be on one side alone."""
    if change.old is None:
        return f"new, {change.new}"
    return "gone" if change.new is None else _arrow(change)


def _word(change: Change) -> str:
    """What a change is called: `kernel: `, `input 1: `, `weight starts as: `; an operator speaks for itself."""
    if change.kind == "operator":
        return ""
    if change.kind == "input":
        return "inputs: " if change.what == "inputs" else f"input {change.what}: "
    if change.kind == "initializer":
        return f"{change.what} starts as: "
    return f"{change.what} trains: " if change.kind == "trainable" else f"{change.what}: "


def _piece(group: list[Piece]) -> tuple[str, str]:
    """Subject and words of pieces that are told together."""
    first, layers = group[0], [layer for piece in group for layer in piece.layers]
    subject, where = places([p.name for p in group], "blocks" if first.block else "layers")
    if first.block:
        what = f"{first.kind}, {_count(len(first.layers), 'layer')}" + (" each" if len(group) > 1 else "")
    else:
        calls = dict.fromkeys(layer.call for layer in layers)
        what = next(iter(calls)) if len(calls) == 1 else f"{layers[0].op}(…)"
    parameters = sum(layer.parameters for layer in layers)
    return subject, "  ".join(part for part in (what, where, f"{parameters:,} parameters" if parameters else "") if part)


def _changed(group: list[Changed], what: str) -> tuple[str, str]:
    subject, where = places([c.new_name for c in group], what)
    return subject, "  ".join(part for part in (_all(relative(group[0])), where) if part)


def _example(d: Difference) -> str:
    first = next(c for c in d.changed if not c.causes)
    change = first.changes[0]
    name = f"{first.new_name}.{change.what}" if change.kind == "weight" else first.new_name
    return f"{name} {_arrow(change)}" + (", …" if len(d.changed) > 1 else "")


def _some(sign: str, lines: list[tuple[str, str]]) -> list[Line]:
    found = [(sign, subject, what) for subject, what in lines[:_LINES]]
    return found if len(lines) <= _LINES else [*found, (sign, f"… and {len(lines) - _LINES} more", "")]


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _move(move: Move) -> tuple[str, str]:
    count = "" if move.count == 1 else f"({_count(move.count, 'layer')} with weights)"
    return move.old, "  ".join(part for part in (f"now {move.new}", move.where, count) if part)


# ----------------------------------------------------------------------------------------------------------- consequences
def _consequences(found: tuple[Consequence, ...]) -> list[str]:
    rows = [(_WORDS[c.what], _number(c.what, c.old), _number(c.what, c.new), _share(c)) for c in found if c.what in _WORDS and not c.same]
    widths = [max((len(row[i]) for row in rows), default=0) for i in (1, 2)]
    lines = [f"  {name:<15}  {old:>{widths[0]}} -> {new:>{widths[1]}}{share}" for name, old, new, share in rows]
    fields = grouped((c for c in found if c.what == "receptive_field" and not c.same), lambda c: (c.of.split(" ")[0], c.old, c.new))
    lines += [f"  receptive field  {_axes(group)}: {_text(group[0].old)} -> {_text(group[0].new)}" for group in fields]
    sizes = grouped((c for c in found if c.what == "constraints" and not c.same), lambda c: _anonymous(c))
    lines += [f"  valid sizes      {_anywhere(group[0].old, group)} -> {_anywhere(group[0].new, group)}" for group in sizes]
    return lines


def _number(what: str, value: int) -> str:
    if not what.endswith("_bytes"):
        return f"{value:,}"
    if value < 1 << 20:
        return f"{value / 1024:,.1f} KiB" if value >= 1024 else f"{value} bytes"
    return f"{value / (1 << 20):,.1f} MiB" if value < 1 << 30 else f"{value / (1 << 30):,.2f} GiB"


def _share(c: Consequence) -> str:
    if not c.old:
        return ""
    ratio = c.new / c.old
    if abs(ratio - 1) < 0.0005:
        return f"   {c.new - c.old:+,}"
    return f"   ×{ratio:,.0f}" if ratio >= 10 else f"   {100 * (ratio - 1):+.1f} %"


def _axes(group: list[Consequence]) -> str:
    """`mask H, W` of `mask H` and `mask W`."""
    return f"{group[0].of.split(' ')[0]} {', '.join(c.of.split(' ', 1)[1] for c in group)}"


def _anonymous(c: Consequence) -> tuple[str | None, str | None]:
    """A condition without the name of its size, so that equal ones of H and W are told together."""
    return tuple(t and rename(t, {c.of: "·"}) for t in (c.old, c.new))  # type: ignore[return-value]


def _anywhere(text: str | None, group: list[Consequence]) -> str:
    """A condition for all sizes of the group: `H, W % 16 == 0`."""
    names = ", ".join(c.of for c in group)
    if text is None:
        return f"no {names}"
    return f"any {names}" if text == "any" else rename(text, {group[0].of: names})


def _text(value: int | str | None) -> str:
    return "none" if value is None else str(value)


# ------------------------------------------------------------------------------------------------------------- checkpoint
def _checkpoint(c: Checkpoint) -> list[str]:
    """Which tensors of a checkpoint load, and which do not."""
    if c.whole and not c.misplaced:
        return ["  a checkpoint of the first fits the second"]
    count = c.fitting + len(c.reshaped) + len(c.missing)
    lines = [f"  of a checkpoint of the first fit {c.fitting:,} of {count:,} tensors ({_number('activation_bytes', c.bytes)})"]
    if c.reshaped:
        lines.append(f"    another shape  {_tensors(c.reshaped)}")
    if c.missing:
        lines.append(f"    missing        {_tensors(c.missing)}")
    if c.unexpected:
        lines.append(f"    unexpected     {_tensors(c.unexpected)}")
    if c.renamed:
        one = c.renamed[0]
        lines.append(f"    renamed        {one.name} is now {one.new_name}{_and(len(c.renamed))}: these fit once they are renamed")
    if c.misplaced:
        one = c.misplaced[0]
        lines.append(f"    misplaced      {one.name} is now {one.new_name}{_and(len(c.misplaced))}: these load into another layer")
    return lines


def _tensors(stored: tuple[Stored, ...]) -> str:
    shown = [f"{s.name} {s.type} -> {s.new_type}" if s.new_type else f"{s.name} {s.type}" for s in stored[:2]]
    return ", ".join(shown) + _and(len(stored), 2)


def _and(count: int, shown: int = 1) -> str:
    return f", and {count - shown} more" if count > shown else ""
