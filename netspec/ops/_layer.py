"""An operator as a field of a model: inside another operator (`weight_norm(conv(8, 3))`), or in the graph's JSON."""

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from netspec.op import Operator


def write_operator(operator: Operator) -> dict[str, Any]:
    """An operator as JSON: its name, and its arguments where they are not at their default."""
    return {"name": operator.NAME, "arguments": operator.model_dump(mode="json", exclude_defaults=True)}


def read_operator(value: Any) -> Operator:
    """An operator itself, or from its JSON. Raises ValueError for anything else."""
    if isinstance(value, Operator):
        return value
    if not isinstance(value, dict) or set(value) != {"name", "arguments"} or not isinstance(value["name"], str):
        raise ValueError("a layer is needed here, such as conv(8, 3)")
    from netspec.ops import MADE, known, restore  # the registry imports the families, and they import this

    if not known(value["name"]) and value["name"] not in MADE:
        raise ValueError(f"there is no operator {value['name']!r}")
    return restore(value["name"], value["arguments"])


OperatorField = Annotated[Any, BeforeValidator(read_operator), PlainSerializer(write_operator)]
