"""Receptive fields: which positions of the inputs one position of a value depends on, on any graph.

Two engines answer, which share how each operator looks at its inputs (`reach`): `forward` composes intervals from the inputs
on, for all values at once (size, stride, padding, phase by phase); `exact` carries the very set of positions back from one of
them, with its holes, and with borders. `report` puts both together.
"""

from netspec.analyses.field.closed import Closed, Read
from netspec.analyses.field.exact import reaching, reaching_at
from netspec.analyses.field.forward import Fields, Misalignment, axis_name, fields, fields_at, position_axes
from netspec.analyses.field.overlap import overlap, uneven
from netspec.analyses.field.positions import EVERYWHERE, Positions
from netspec.analyses.field.report import At, AxisField, Phase, fields_by_input, receptive_field, smallest_field, value_of
from netspec.analyses.field.track import BOUND, WHOLE, Track

__all__ = [
    "BOUND",
    "EVERYWHERE",
    "WHOLE",
    "At",
    "AxisField",
    "Closed",
    "Fields",
    "Misalignment",
    "Phase",
    "Positions",
    "Read",
    "Track",
    "axis_name",
    "fields",
    "fields_at",
    "fields_by_input",
    "overlap",
    "position_axes",
    "reaching",
    "reaching_at",
    "receptive_field",
    "smallest_field",
    "uneven",
    "value_of",
]
