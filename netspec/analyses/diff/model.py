"""What a comparison of two networks gives: plain facts, which `text` shows and `data` writes."""

from __future__ import annotations

import json
from typing import Any

from netspec.record import record


@record
class Change:
    """One thing that changed, in the language's words; None where it is on one side only.

    `kind` is `operator`, `argument`, `input`, `initializer`, `trainable`, `training`, `weights` (what somebody changed), `output` or
    `weight` (the shape that follows from it); of a net also `size`. `what` names it: `kernel`, `0`, `weight`.
    """

    kind: str
    what: str
    old: str | None
    new: str | None

    @property
    def cause(self) -> bool:
        """Whether somebody wrote this; a shape follows from what others wrote."""
        return self.kind not in ("output", "weight")

    def data(self) -> dict[str, Any]:
        """As plain data."""
        return {"kind": self.kind, "what": self.what, "from": self.old, "to": self.new}


@record
class Layer:
    """A layer that one network alone has. `call` is it as one would write it, `parameters` what it stores and trains."""

    name: str
    op: str
    call: str
    shape: str
    parameters: int
    line: int

    def data(self) -> dict[str, Any]:
        """As plain data."""
        return {"label": self.name, "op": self.op, "call": self.call, "shape": self.shape, "parameters": self.parameters, "line": self.line}


@record
class Piece:
    """What one network alone has, in one piece: a layer, or a block none of whose layers the other has."""

    name: str
    label: str
    kind: str
    block: bool
    layers: tuple[Layer, ...]

    def data(self) -> dict[str, Any]:
        """As plain data, without its layers, which are listed apart."""
        return {"label": self.name, "kind": self.kind, "block": self.block, "layers": len(self.layers)}


@record
class Changed:
    """A layer or block that both networks have, and what changed of it. `name` is what the first calls it."""

    name: str
    new_name: str
    kind: str
    changes: tuple[Change, ...]

    @property
    def causes(self) -> tuple[Change, ...]:
        """What somebody wrote, without what follows in shape."""
        return tuple(c for c in self.changes if c.cause)

    def data(self) -> dict[str, Any]:
        """As plain data."""
        return {"label": self.name, "new_label": self.new_name, "kind": self.kind, "changes": [c.data() for c in self.changes]}


@record
class Renaming:
    """A layer that both networks have, under two names. `stores` says that it has weights, which a checkpoint has by name."""

    old: str
    new: str
    stores: bool


@record
class Stored:
    """A stored tensor of one or both networks: `type` as in `float32 [64, 3, 7, 7]`."""

    name: str
    type: str
    new_name: str = ""
    new_type: str = ""


@record
class Checkpoint:
    """What becomes of the first network's checkpoint in the second, tensor by tensor and strictly by name.

    `fitting` have name, shape and element type, `bytes` together. `reshaped` have the name alone. `missing` the checkpoint has
    not, `unexpected` the network has not. `renamed`: missing and unexpected ones that are the same layer's, of one type: they
    fit once they are renamed. `misplaced`: fitting ones that the alignment holds for another layer's.
    """

    fitting: int
    bytes: int
    reshaped: tuple[Stored, ...]
    missing: tuple[Stored, ...]
    unexpected: tuple[Stored, ...]
    renamed: tuple[Stored, ...]
    misplaced: tuple[Stored, ...]

    @property
    def whole(self) -> bool:
        """Whether every tensor of the one is a tensor of the other."""
        return not (self.reshaped or self.missing or self.unexpected)

    def data(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "fits": {"count": self.fitting, "bytes": self.bytes},
            "reshaped": [{"name": s.name, "from": s.type, "to": s.new_type} for s in self.reshaped],
            "missing": [{"name": s.name, "type": s.type} for s in self.missing],
            "unexpected": [{"name": s.name, "type": s.type} for s in self.unexpected],
            "renamed": [{"from": s.name, "to": s.new_name} for s in self.renamed],
            "misplaced": [{"name": s.name, "belongs_to": s.new_name} for s in self.misplaced],
        }


@record
class Consequence:
    """A property of the whole network, before and after: `parameters`, `macs`, `activation_bytes`, `training_bytes`, `receptive_field` of
    `mask H`, `constraints` of `H`. Values are numbers, texts, or None where there is none."""

    what: str
    of: str
    old: Any
    new: Any

    @property
    def same(self) -> bool:
        """Whether nothing changed."""
        return bool(self.old == self.new)


@record
class Difference:
    """Everything that is different between two networks; `same` where nothing is.

    `net` are the net's own parameters, `ports` its inputs and outputs, `sizes` its open sizes (a renamed one has both names).
    """

    old: str
    new: str
    net: tuple[Change, ...]
    sizes: tuple[Change, ...]
    ports: tuple[Change, ...]
    added: tuple[Piece, ...]
    removed: tuple[Piece, ...]
    changed: tuple[Changed, ...]
    blocks: tuple[Changed, ...]
    renamed: tuple[Renaming, ...]
    consequences: tuple[Consequence, ...]
    checkpoint: Checkpoint
    training: tuple[Change, ...]
    weight_names: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Whether the two are the same network: layers, labels, wiring, shapes, initializers, and what they ask of sizes.

        A parameter of the net or of a block that changes nothing in the network does not count, nor does how it is trained, or what a
        weights file calls its tensors.
        """
        parts = (self.sizes, self.ports, self.added, self.removed, self.changed, self.renamed)
        return not any(parts) and self.checkpoint.whole and all(c.same for c in self.consequences)

    def data(self) -> dict[str, Any]:
        """As plain data: one entry of `nets` in the JSON of `netspec diff`.

        Changes have `kind`, `what`, `from`, `to` (null: not there). `layers` are single, `pieces` the same in blocks.
        """
        return {
            "from": self.old,
            "to": self.new,
            "same": self.same,
            "parameters": [c.data() for c in self.net],
            "sizes": [c.data() for c in self.sizes],
            "ports": [c.data() for c in self.ports],
            "layers": {
                "added": [layer.data() for p in self.added for layer in p.layers],
                "removed": [layer.data() for p in self.removed for layer in p.layers],
                "changed": [c.data() for c in self.changed],
                "renamed": [{"from": r.old, "to": r.new} for r in self.renamed],
            },
            "blocks": {
                "added": [p.data() for p in self.added if p.block],
                "removed": [p.data() for p in self.removed if p.block],
                "changed": [c.data() for c in self.blocks],
            },
            "consequences": [{"what": c.what, "of": c.of, "from": c.old, "to": c.new} for c in self.consequences],
            "checkpoint": self.checkpoint.data(),
            "training": [c.data() for c in self.training],
            "weights": [c.data() for c in self.weight_names],
        }

    def json(self) -> str:
        """The JSON text."""
        return json.dumps(self.data(), indent=2)

    def __str__(self) -> str:
        from netspec.analyses.diff.text import text_of

        return text_of(self)
