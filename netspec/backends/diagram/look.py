"""What one may choose about a picture, and what a style makes of a view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal, Optional, get_args

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.record import record

#: where a picture runs: from top to bottom, from left to right, or whichever suits it
Direction = Literal["TB", "LR", "auto"]
#: what a heat scale shows: trained numbers, multiply-accumulates, bytes moved, or the receptive field's size
Heat = Literal["parameters", "macs", "bytes", "field"]
#: shapes as numbers, at the typical sizes, or as expressions of the open ones
Sizes = Literal["typical", "symbolic"]


@record
class Look:
    """The choices. `typical` are values of open sizes instead of those that the network calls typical."""

    rankdir: Direction = "auto"
    sizes: Sizes = "typical"
    heat: Optional[Heat] = None
    legend: bool = True
    typical: Mapping[str, int] = field(default_factory=dict)


@record
class Sketch:
    """A picture that is not drawn yet: its DOT text, the words to show over each thing that has an id, and what it shows in a few words.

    `notes` are what could not be shown, and why.
    """

    dot: str
    titles: Mapping[str, str]
    label: str
    notes: tuple[str, ...] = ()


#: what may be chosen, by the name of the choice
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "rankdir": get_args(Direction),
    "sizes": get_args(Sizes),
    "heat": (None, *get_args(Heat)),
    "legend": (True, False),
}


def look_of(given: Mapping[str, Any]) -> Look:
    """A look from choices by name. Raises `Refusal` (NS015) for a choice or a value that there is not."""
    for name, value in given.items():
        if name not in CHOICES and name != "typical":
            helps = suggestion(name, CHOICES) or (f"choices: {', '.join(CHOICES)}",)
            raise Refusal("NS015", f"there is no choice `{name}` of a picture's look", helps=tuple(helps), status=2)
        if name in CHOICES and value not in CHOICES[name]:
            known = ", ".join(repr(choice) for choice in CHOICES[name])
            raise Refusal("NS015", f"`{name}` cannot be {value!r}", helps=(f"one of {known}",), status=2)
    return Look(**given)
