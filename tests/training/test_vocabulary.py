"""The table of the vocabulary is what the files define; every entry is documented, and says where its formula stands."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from netspec import recipe
from netspec.elaborate.recipe_words import spelled
from netspec.recipe.entry import Entry, Measure, read_entry, write_entry

WORDS = [(slot, name) for slot, names in recipe.known().items() for name in names]
OF_OURS = {"search", "pretrained"}  # no formula in them


@pytest.mark.parametrize(("slot", "name"), WORDS)
def test_an_entry(slot: str, name: str) -> None:
    cls = recipe.lookup(slot, name)
    assert (cls.SLOT, cls.NAME) == (slot, name)
    assert len(inspect.getdoc(cls) or "") > 20 and cls.__doc__ != Entry.__doc__
    assert cls.SOURCE or slot in OF_OURS, "where does its formula stand?"
    assert not issubclass(cls, Measure) or not set(cls.TENSORS) & set(cls.model_fields)
    assert spelled(cls).startswith(f"{name}(")


@pytest.mark.parametrize(("slot", "name"), WORDS)
def test_its_json_reproduces_it(slot: str, name: str) -> None:
    cls = recipe.lookup(slot, name)
    given = {n: _some(f) for n, f in cls.model_fields.items() if f.is_required()}
    made = cls(**given)
    assert read_entry(write_entry(made)) == made


def _some(field: object) -> object:
    for value in (1, 0.5, "x", (1, 2), (0.1,)):
        try:
            import pydantic

            model = pydantic.create_model("M", __config__={"strict": True}, v=(field.annotation, field))  # type: ignore[attr-defined]
            model(v=value)
            return value
        except pydantic.ValidationError:
            continue
    raise AssertionError(field)


def test_the_files_define_what_the_table_says() -> None:
    for slot, files in recipe.VOCABULARY.items():
        for file, names in files.items():
            found = {
                value.NAME
                for value in vars(import_module(f"netspec.recipe.{file}")).values()
                if isinstance(value, type) and issubclass(value, Entry) and "NAME" in vars(value) and getattr(value, "SLOT", "") == slot
            }
            assert found == set(names), (slot, file)


def test_aliases_lead_somewhere_and_hide_nothing() -> None:
    for slot, aliases in recipe.ALIASES.items():
        assert set(aliases.values()) <= set(recipe.known()[slot]) and not set(aliases) & set(recipe.known()[slot])
        assert all(recipe.lookup(slot, alias).NAME == name for alias, name in aliases.items())


def test_unknown_words() -> None:
    assert not recipe.is_known("loss", "no_such_loss")
    with pytest.raises(KeyError):
        recipe.lookup("loss", "no_such_loss")
    with pytest.raises(ValueError):
        read_entry({"slot": "loss", "name": "nothing", "arguments": {}})
