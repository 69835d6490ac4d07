"""Which renames would make a file fit: beginnings of names that one side has and the other has not, or has otherwise.

Only what is certain: a missing name and a stray one are a pair where no other stray of that shape has as many last parts of the name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netspec.backends.weight_files.entry import Entry
from netspec.diagnostics.nearest import nearest
from netspec.graph import Tensor
from netspec.renaming import Renames

#: How many renames are suggested, and of how many tensors pairs are tried.
_MOST, _TRIED = 4, 8
#: In how many names a like one is sought.
_SOUGHT = 2_000

#: The beginnings of names that a rename exchanges: the file's, the network's.
_Pair = tuple[str, str]


def advice(missing: Sequence[Tensor], strays: Mapping[str, Entry], fitting: Sequence[str], renamed: bool = False) -> tuple[str, ...]:
    """What would probably make a file fit that lacks tensors and has others, `fitting` being its names that need no help.

    `renamed` says that the net renames already.
    """
    if not missing or not strays:
        return ()
    found = suggested(missing, strays, fitting)
    if not found:
        close = nearest(missing[0].name, list(strays)[:_SOUGHT])
        return (f"is `{close[0]}` in the file what the network calls `{missing[0].name}`?",) if close else ()
    lines = "; ".join(f'rename "{old}*" -> "{new}*"' for old, new in found)
    where = "write before the other renames of the net" if renamed else "write into the net"
    help = f"{where}: `weights {{ {lines} }}`"
    prefix = found[0][0] if len(found) == 1 and not found[0][1] else ""
    return (help, f"or drop the prefix with `--strip {prefix}`") if prefix else (help,)


def suggested(missing: Sequence[Tensor], strays: Mapping[str, Entry], fitting: Sequence[str]) -> list[_Pair]:
    """The beginnings of names to be exchanged, (the file's, the network's), those that serve most first.

    Each serves two tensors at least, or all that are missing; none would touch what fits.
    """
    wanted = {tensor.name: tensor.shape for tensor in missing}
    had = {name: entry.shape for name, entry in strays.items()}
    found: list[_Pair] = []
    become: dict[str, str] = {}
    while wanted and had and len(found) < _MOST:
        served = {pair: _served(pair, wanted, had) for pair in dict.fromkeys(_pairs(wanted, had)) if _spares(pair[0], fitting)}
        pair = max(served, key=lambda one: (len(served[one]), -len(one[1])), default=None)
        if pair is None or len(served[pair]) < min(2, len(wanted)):
            break
        found.append(pair)
        for name in served[pair]:
            become[pair[0] + name[len(pair[1]) :]] = name
            del wanted[name], had[pair[0] + name[len(pair[1]) :]]
    found.sort(key=lambda one: -len(one[0]))  # the first that fits applies: what is particular goes first
    as_written = Renames((f"{old}*", f"{new}*") for old, new in found)
    return found if all(as_written(old) == new for old, new in become.items()) else []


def _pairs(wanted: Mapping[str, tuple[int, ...]], had: Mapping[str, tuple[int, ...]]) -> Iterator[_Pair]:
    """What stands before the last parts that a missing name and a stray one have in common: all of these, or fewer."""
    for name in list(wanted)[:_TRIED]:
        own = name.split(".")
        alike = [other for other, shape in had.items() if shape == wanted[name] and other.rpartition(".")[2] == own[-1]][:_SOUGHT]
        shared = {other: _common(own, other.split(".")) for other in alike}
        most = max(shared.values(), default=0)
        nearest_ones = [other for other, common in shared.items() if common == most]
        if len(nearest_ones) != 1:
            continue
        (other,) = nearest_ones
        for common in range(most, 0, -1):
            tail = len(".".join(own[len(own) - common :]))
            yield other[: len(other) - tail], name[: len(name) - tail]


def _common(first: list[str], second: list[str]) -> int:
    """How many parts two names have in common at their ends."""
    count = 0
    while count < min(len(first), len(second)) and first[-count - 1] == second[-count - 1]:
        count += 1
    return count


def _served(pair: _Pair, wanted: Mapping[str, tuple[int, ...]], had: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The missing names that a rename finds in the file, in their shape."""
    old, new = pair
    return [name for name, shape in wanted.items() if name.startswith(new) and had.get(old + name[len(new) :]) == shape]


def _spares(old: str, fitting: Sequence[str]) -> bool:
    return not any(name.startswith(old) for name in fitting)
