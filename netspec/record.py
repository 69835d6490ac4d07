"""Slotted data classes that cost a tenth of the start-up time of the standard library's.

`dataclasses.dataclass` compiles up to six methods for every class: a millisecond each. The compiler has some hundred and
fifty small classes and is to answer within a third of a second, so those that every command imports use `record` (frozen)
and `draft` (not frozen) instead: one `__init__`, compiled when the first instance is made, and everything else shared. Type
checkers and `dataclasses.fields`, `replace` and `asdict` see an ordinary dataclass.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Callable, TypeVar

C = TypeVar("C", bound=type)


@dataclasses.dataclass(frozen=True)
class _Frozen:
    """A frozen dataclass, whose parameters every record shows."""


@dataclasses.dataclass(eq=False)
class _Open:
    """A dataclass that is not frozen, whose parameters every draft shows."""


if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**facts: Any) -> Callable[[Any], Any]:
        """For type checkers alone."""
        return lambda decorator: decorator


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def record(cls: C) -> C:
    """Make a frozen, slotted data class of annotated names. Fields of base records come first; `field(…)` options
    `default`, `default_factory`, `compare` and `repr` mean what they mean in `dataclasses`."""
    made = _slotted(cls, _Frozen)
    compared = [name for name, f in made.__dataclass_fields__.items() if f.compare]
    made.__eq__, made.__hash__ = _equality(made, compared)
    made.__setattr__, made.__delattr__ = _frozen, _frozen
    made.__getstate__, made.__setstate__ = _get_state, _set_state
    return made


@dataclass_transform(eq_default=False, field_specifiers=(dataclasses.field,))
def draft(cls: C) -> C:
    """Make a slotted data class whose values may change, and which equals itself alone. Fields as in `record`."""
    return _slotted(cls, _Open)


def _slotted(cls: C, pattern: type) -> Any:
    """The class made again with slots for its fields, an `__init__` and a `__repr__`."""
    inherited: dict[str, dataclasses.Field[Any]] = {}
    for base in reversed(cls.__mro__[1:]):
        inherited.update(base.__dict__.get("__dataclass_fields__", {}))
    own = {name: _field(cls, name) for name, kind in cls.__dict__.get("__annotations__", {}).items() if "ClassVar" not in str(kind)}
    fields = {**inherited, **own}
    body = {k: v for k, v in cls.__dict__.items() if k not in own and k not in ("__dict__", "__weakref__")}
    body["__slots__"] = tuple(name for name in own if name not in inherited)
    body["__dataclass_fields__"] = fields
    body["__dataclass_params__"] = pattern.__dict__["__dataclass_params__"]
    body["__match_args__"] = tuple(fields)
    made: Any = type(cls)(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    made.__init__ = _initializer_to_be(made, fields)
    if "__repr__" not in body:
        made.__repr__ = _representation(tuple(name for name, f in fields.items() if f.repr))
    return made


def _field(cls: type, name: str) -> dataclasses.Field[Any]:
    default = cls.__dict__.get(name, dataclasses.MISSING)
    made = default if isinstance(default, dataclasses.Field) else dataclasses.field(default=default)
    made.name, made.type, made.kw_only = name, cls.__annotations__[name], False
    made._field_type = dataclasses._FIELD  # type: ignore[attr-defined]
    return made


def _initializer_to_be(cls: Any, fields: dict[str, dataclasses.Field[Any]]) -> Any:
    """Stands in for `__init__` until the first instance: compiling is most of what a class costs, and many are never used."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if cls.__init__ is __init__:
            cls.__init__ = _initializer(cls, fields)
        cls.__init__(self, *args, **kwargs)

    return __init__


def _initializer(cls: type, fields: dict[str, dataclasses.Field[Any]]) -> Any:
    """`__init__`, compiled: it stores through the slots' own descriptors, which frozenness does not stop."""
    scope: dict[str, Any] = {}
    parameters, stores = [], []
    for name, f in fields.items():
        scope[f"_put_{name}"] = getattr(cls, name).__set__
        if f.default_factory is not dataclasses.MISSING:
            scope[f"_make_{name}"] = f.default_factory
            parameters.append(f"{name}=None")
            stores.append(f"_put_{name}(self, _make_{name}() if {name} is None else {name})")
            continue
        if f.default is not dataclasses.MISSING:
            scope[f"_default_{name}"] = f.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        stores.append(f"_put_{name}(self, {name})")
    if "__post_init__" in cls.__dict__:
        stores.append("self.__post_init__()")
    source = f"def __init__(self, {', '.join(parameters)}):\n    " + "\n    ".join(stores or ["pass"])
    exec(compile(source, f"<record {cls.__name__}>", "exec"), scope)
    return scope["__init__"]


def _equality(cls: type, names: list[str]) -> tuple[Any, Any]:
    if not names:
        return (lambda self, other: True if type(other) is cls else NotImplemented), (lambda self: hash(cls))
    key: Callable[[Any], Any] = attrgetter(*names)

    def equal(self: Any, other: Any) -> Any:
        if self is other:
            return True
        return key(self) == key(other) if type(other) is cls else NotImplemented

    return equal, lambda self: hash((cls, key(self)))


def _representation(names: tuple[str, ...]) -> Any:
    def show(self: Any) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in names)})"

    return show


def _frozen(self: Any, name: str, *value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot change {name!r} of a {type(self).__name__}")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__dataclass_fields__]


def _set_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__dataclass_fields__, state):
        object.__setattr__(self, name, value)
