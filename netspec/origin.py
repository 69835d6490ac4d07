"""What the records of the graph have in common, and where in the source something was written."""

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of everything in the graph: frozen, and nothing unknown gets in."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True, ser_json_inf_nan="constants"
    )  # fmt: skip

    @classmethod
    def trusted(cls, **fields: Any) -> Any:
        """An instance of fields that we made ourselves, all of them given, none of them validated.

        What `model_construct` does, less its handling of aliases and defaults, and with one set of names for all: a tenth
        of the time and half of the memory, and a network has hundreds of thousands of records.
        """
        made = cls.__new__(cls)
        put = object.__setattr__
        put(made, "__dict__", fields)
        put(made, "__pydantic_fields_set__", _fields_of(cls))
        put(made, "__pydantic_extra__", None)
        put(made, "__pydantic_private__", None)
        return made


@cache
def _fields_of(cls: type[Record]) -> set[str]:
    return set(cls.model_fields)


class Origin(Record):
    """Where in the source something was written: the file's name, line and column from 1, and character offsets."""

    file: str
    line: int
    column: int
    start: int
    end: int
