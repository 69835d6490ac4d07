"""What each release of onnxruntime reads, for files that are to run where a newer one is not at hand.

Every row was found by trying, on the CPU builds of PyPI, the first patch of the release and the last: models of each opset and IR
version until one was refused, and `MatMulNBits` of either width. (1.15 takes files of opset 19, but has no kernels for them.) Its
own table is
https://onnxruntime.ai/docs/reference/compatibility.html. A release reads all older opsets and IR versions as well.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from netspec.backends.onnx.options import STORED, OnnxOptions
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.record import record

#: How wide the stored weights are that a precision writes.
_BITS = dict(zip(STORED, (8, 4)))


@record
class Release:
    """A release of onnxruntime: the newest IR version and opset of `ai.onnx` that it reads, and the widths of `MatMulNBits`."""

    name: str
    last_ir: int
    last_opset: int
    bits: tuple[int, ...] = ()

    @property
    def ir_version(self) -> int:
        """The IR version to write: as ever, unless the release is too old for that."""
        return min(OnnxOptions().ir_version, self.last_ir)

    def opset_for(self, asked: int | None = None) -> int:
        """The opset to write: the one asked for, or the usual one, or the newest before it. Raises Refusal NS751 for a newer one."""
        if asked is None:
            return min(OnnxOptions().opset, self.last_opset)
        if asked > self.last_opset:
            helps = (f"--opset {self.last_opset}", *_since(lambda release: release.last_opset >= asked))
            raise Refusal("NS751", f"{self.name} reads opsets up to {self.last_opset}, not {asked}", helps=helps, status=2)
        return asked

    def check(self, precision: str) -> None:
        """Raise Refusal NS751 for a precision whose operators the release lacks."""
        bits = _BITS.get(precision)
        if bits is not None and bits not in self.bits:
            helps = _since(lambda release: bits in release.bits)
            raise Refusal("NS751", f"{self.name} has no MatMulNBits of {bits} bits for --precision {precision}", helps=helps, status=2)


def release(name: str) -> Release:
    """The release of a name: `ort-1.17`, or `ort-1.17.3`, which reads the same. Raises Refusal NS751 for any other."""
    found = RELEASES.get(re.sub(r"^(ort-\d+\.\d+)\.\d+$", r"\1", name))
    if found is None:
        known = f"known are {next(iter(RELEASES))} to {next(reversed(RELEASES))}"
        raise Refusal("NS751", f"there is no target `{name}`", helps=(*suggestion(_spelled(name), RELEASES), known), status=2)
    return found


def options_for(target: str | None = None, opset: int | None = None, **options: Any) -> OnnxOptions:
    """Options of a file, for a release where one is named. Raises Refusal: NS751 for a release that there is not, and for what it does not
    read; NS015 for an option that there is not."""
    known = [each.name for each in fields(OnnxOptions)]
    for name in options:
        if name not in known:
            helps = suggestion(name, known) or (f"there are {', '.join(known)}",)
            raise Refusal("NS015", f"an ONNX file has no option `{name}`", helps=helps, status=2)
    if target is not None:
        found = release(target)
        found.check(options.get("precision", "fp32"))
        options = {"ir_version": found.ir_version, **options, "opset": found.opset_for(opset)}
    elif opset is not None:
        options["opset"] = opset
    return OnnxOptions(**options)


def _spelled(name: str) -> str:
    """A name as it may have been meant: `onnxruntime==1.17.1`, `ORT 1.17`."""
    number = re.search(r"\d+\.\d+", name)
    return f"ort-{number.group()}" if number else name


def _since(reads: Any) -> tuple[str, ...]:
    """The first release that does, as a help."""
    first = next((name for name, release in RELEASES.items() if reads(release)), None)
    return (f"--target {first}, or newer",) if first else ()


#: name, newest IR version, newest opset, widths of MatMulNBits
_TRIED: tuple[tuple[str, int, int, tuple[int, ...]], ...] = (
    ("1.14", 8, 18, ()),
    ("1.15", 9, 18, ()),
    ("1.16", 9, 19, ()),
    ("1.17", 9, 20, (4,)),
    ("1.18", 10, 21, (4,)),
    ("1.19", 10, 21, (4,)),
    ("1.20", 10, 21, (4,)),
    ("1.21", 10, 22, (4,)),
    ("1.22", 10, 22, (4,)),
    ("1.23", 11, 23, (4, 8)),
    ("1.24", 13, 25, (4, 8)),
    ("1.25", 13, 26, (4, 8)),
    ("1.26", 13, 26, (4, 8)),
    ("1.27", 13, 26, (4, 8)),
    ("1.28", 13, 26, (4, 8)),
    ("1.29", 13, 26, (4, 8)),
    ("1.30", 13, 26, (4, 8)),
    ("1.31", 13, 26, (4, 8)),
)
#: The releases that are known, the oldest first.
RELEASES: dict[str, Release] = {f"ort-{name}": Release(f"ort-{name}", *facts) for name, *facts in _TRIED}
