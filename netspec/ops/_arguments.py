"""An operator's arguments as torch is given them: those at their default are left out, as one would write by hand."""

from typing import Any

from netspec.op import Operator


def changed(operator: Operator, *names: str, **renamed: str) -> dict[str, Any]:
    """The arguments that are not at their default, for a torch call: `changed(self, "eps", elementwise_affine="affine")`."""
    fields = type(operator).model_fields
    wanted = {**{name: name for name in names}, **renamed}
    return {theirs: getattr(operator, ours) for theirs, ours in wanted.items() if getattr(operator, ours) != fields[ours].default}
