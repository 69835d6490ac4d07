"""What every part of the expansion shares: the builder, the report, the budgets, and the chain of applications."""

from __future__ import annotations

import time
from dataclasses import field
from typing import TYPE_CHECKING, Any, NoReturn

from netspec.diagnostics.model import Mark, Report
from netspec.elaborate.build import Builder, FrameDraft, TooLarge
from netspec.elaborate.values import POISON, Definition, OperatorLayer, Tensor
from netspec.elaborate.violations import Violation
from netspec.limits import Limits
from netspec.op import Operator
from netspec.record import draft
from netspec.source import Place
from netspec.syntax import tree

if TYPE_CHECKING:
    from netspec.elaborate.environment import Environment


class Failed(Exception):
    """An expression could not be evaluated; the reason has been reported. Caught where its statement stands."""


@draft
class Activation:
    """A block or net while its body runs: its frame, what is to be bound by `input`, and what `output` has given."""

    definition: Definition
    frame: FrameDraft
    environment: "Environment"
    waiting: list[Any] = field(default_factory=list)
    inputs: int = 0
    outputs: list[tuple[str | None, Any, Place]] = field(default_factory=list)
    is_root: bool = False
    is_step: bool = False  # of a scan: outputs go by name, and `None` in `waiting` is a state that starts as zeros
    broken: bool = False  # some statement could not be read: what it would have done is not held against the rest


@draft
class Deferred:
    """An `expect` that needs the finished network (`params`, `macs`, `receptive_field`)."""

    statement: tree.Expect
    environment: "Environment"
    path: str
    inner: bool  # whether it stands in what is scanned


@draft
class InitRequest:
    """An initializer that was written: for one label (`init = …`), or by a rule for all that its selector matches under `path`."""

    expression: tree.Expr
    environment: "Environment"
    selector: str
    parameter: str | None
    path: str
    place: Place
    matched: bool = False


class Context:
    """The state of one expansion."""

    def __init__(self, report: Report, limits: Limits) -> None:
        self.report = report
        self.limits = limits
        self.builder = Builder(limits)
        self.activation: Activation | None = None
        self.trail: list[Mark] = []
        self.again: Place | None = None  # where a shared layer is being applied a second time
        self.deferred: list[Deferred] = []
        self.violations: list[Violation] = []
        self.rules: list[InitRequest] = []
        self.trainings: list[tuple[tree.Train, Environment]] = []
        self.weight_sections: list[tuple[tree.Weights, Environment]] = []
        self.layer_inits: dict[str, Any] = {}
        self.layers: dict[Any, OperatorLayer] = {}
        self.operators: dict[tuple[type[Operator], str], Operator] = {}
        self.endless: set[int] = set()
        self.typical_values: dict[str, int] = {}
        self.fixed_sizes: dict[str, int] = {}
        self._steps = 0
        self._deadline = time.monotonic() + limits.seconds

    @property
    def frame(self) -> FrameDraft:
        """The frame in which things stand now."""
        assert self.activation is not None, "layers are applied inside a net only"
        return self.activation.frame

    @property
    def path(self) -> str:
        """The dotted label of the scope in which things stand now."""
        return self.builder.scopes[self.frame.scope].path

    def descend(self, definition: Definition, kind: str, place: Place) -> None:
        """Hold the nesting of definitions to its bound. What has once passed it is not tried again: a block that applies
        itself twice would be tried twice as often at every level."""
        if id(definition.statement) in self.endless:
            raise Failed
        if len(self.trail) >= self.limits.block_depth:
            self.endless.add(id(definition.statement))
            message = f"{kind} are nested more than {self.limits.block_depth} deep (limit `block_depth`)"
            self.fail("NS007", message, place, helps=(f"does `{definition.name}` contain itself without an end?",))

    def step(self) -> None:
        """Count one statement or call against the budget. Raises `TooLarge` when it is spent."""
        self._steps += 1
        if self._steps > self.limits.steps:
            raise TooLarge(f"expanding the spec takes more than {self.limits.steps:,} steps (limit `steps`)")
        if not self._steps & 1023 and time.monotonic() > self._deadline:
            raise TooLarge(f"expanding the spec takes longer than {self.limits.seconds:g} s (limit `seconds`)")

    def fail(self, code: str, message: str, place: Place, mark: str = "", **more: Any) -> NoReturn:
        """Report an error at a place, with the chain of applications that led here, and give up on the expression."""
        self.report.error(code, message, place, mark, trail=tuple(self.trail), **more)
        raise Failed

    def tensor(self, number: int) -> Tensor:
        """A value of the graph as a value of the language."""
        return Tensor(number, self.builder.types[number], self.builder.step)


def alive(values: Any) -> None:
    """Give up silently if any of several values is poison: its own error has been reported."""
    if any(v is POISON for v in values):
        raise Failed
