"""What a section asks of the data, and which tensors do not fit a loss."""

import pytest

import netspec
from netspec.graph import Graph
from netspec.op import Reject
from netspec.recipe import known, lookup
from netspec.recipe.entry import Entry, Measure
from netspec.recipe.section import Reference, Section, Term
from netspec.recipe.wanted import LENGTHS, describe, wanted


def graph(*outputs: str) -> Graph:
    """A net that gives tensors of these shapes: y, z, … from inputs a, b, … ."""
    names = list(zip("abcd", "yzuv", outputs))
    lines = [f"input {i}: {shape}" for i, _, shape in names] + [f"output {o} = {i} -> relu" for i, o, _ in names]
    return netspec.loads("net n {\n" + "\n".join(lines) + "\n}").graph


def reference(written: str) -> Reference:
    """One letter is an output or input of `graph`, a word a column of the data."""
    return Reference(kind="output" if written in "yzuv" else "input" if written in "abcd" else "target", name=written)


def term(slot: str, name: str, *written: str, **given) -> Term:
    """A measure with tensors and arguments; optional tensors are given as strings."""
    entry = lookup(slot, name)
    optional = {key: value for key, value in given.items() if key in entry.OPTIONAL}
    measure = entry(**{key: value for key, value in given.items() if key not in optional})
    pairs = [*zip(entry.TENSORS, written), *optional.items()]
    return Term(measure=measure, tensors=tuple((key, reference(word)) for key, word in pairs))


def asked(shapes: tuple[str, ...], *terms: Term) -> dict[str, list[str]]:
    """What is wanted, in words."""
    section = Section(
        loss=tuple(t for t in terms if t.measure.SLOT == "loss"), metrics=tuple(t for t in terms if t.measure.SLOT == "metric")
    )
    return {name: [describe(form) for form in forms] for name, forms in wanted(graph(*shapes), section).items()}


FORMS = {
    "classes": ("[N, 10]", "cross_entropy", {}, ["classes 0 to 9 of shape [N]", "numbers from 0 to 1 of shape [N, 10]"]),
    "pixels": ("[N, 3, H, W]", "nll", {}, ["classes 0 to 2 of shape [N, H, W]"]),
    "steps": ("[N, T, 3]", "nll", {"axis": -1}, ["classes 0 to 2 of shape [N, T]"]),
    "ignoring": ("[N, 3]", "cross_entropy", {"ignore_index": 255}, ["classes 0 to 2 of shape [N]"]),
    "yes or no": ("[N, 1]", "bce", {}, ["numbers from 0 to 1 of shape [N, 1]", "numbers from 0 to 1 of shape [N]"]),
    "several": ("[N, 4]", "bce_with_logits", {}, ["numbers from 0 to 1 of shape [N, 4]"]),
    "numbers": ("[N, 4]", "mse", {}, ["numbers of shape [N, 4]"]),
    "one number": ("[N, 1]", "l1", {}, ["numbers of shape [N, 1]", "numbers of shape [N]"]),
    "regions": ("[N, 3, H, W]", "dice", {}, ["classes 0 to 2 of shape [N, H, W]", "numbers from 0 to 1 of shape [N, 3, H, W]"]),
    "masks": ("[N, 3, H, W]", "jaccard", {"activation": "sigmoid"}, ["numbers from 0 to 1 of shape [N, 3, H, W]"]),
    "one mask": ("[N, 1, H, W]", "dice", {}, ["numbers from 0 to 1 of shape [N, 1, H, W]", "numbers from 0 to 1 of shape [N, H, W]"]),
    "probabilities": ("[N, 4]", "kl_div", {}, ["numbers from 0 to 1 of shape [N, 4]"]),
    "text": ("[N, T, 30]", "ctc", {}, ["classes 0 to 29 of shape [N, labels]"]),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_forms_of_a_target(case: str) -> None:
    shape, name, arguments, forms = FORMS[case]
    assert asked((shape,), term("loss", name, "y", "target", **arguments)) == {"target": forms}


def test_a_metric_takes_what_the_loss_has() -> None:
    found = asked(("[N, 10]",), term("loss", "cross_entropy", "y", "label"), term("metric", "accuracy"), term("metric", "top_k", k=3))
    assert found == {"label": ["classes 0 to 9 of shape [N]", "numbers from 0 to 1 of shape [N, 10]"]}


def test_columns_of_several_terms() -> None:
    found = asked(
        ("[N, 10]", "[N, 4]"),
        term("loss", "gaussian_kl", "z", "z"),
        term("loss", "cross_entropy", "y", "label", mask="valid"),
        term("loss", "mse", "z", "place"),
        term("metric", "mae", "z", "place"),
        term("metric", "accuracy", "y", "label"),
        term("loss", "nll", "y", "label"),
    )
    assert found == {
        "label": ["classes 0 to 9 of shape [N]"],
        "valid": ["booleans of shape [N]"],
        "place": ["numbers of shape [N, 4]"],
    }


def test_what_the_net_has_is_not_asked_of_the_data() -> None:
    assert asked(("[N, 8]",), term("loss", "mse", "y", "a")) == {}
    assert asked(("[N, 8]", "[N, 8]"), term("loss", "cosine", "y", "z", sign="same")) == {"same": ["numbers of shape [N]"]}
    assert asked(("[N, 8]",) * 3, term("loss", "triplet", "y", "z", "u")) == {}


def test_lengths_are_made_by_batches() -> None:
    found = asked(("[N, T, 8]",), term("loss", "mse", "y", "t", lengths="t" + LENGTHS))
    assert found == {"t": ["numbers of shape [N, T, 8]"]}
    found = asked(("[N, T, 8]",), term("loss", "ctc", "y", "t", input_lengths="count"))
    assert found["count"] == ["lengths of shape [N]"]


def test_a_mask_has_leading_axes_or_one_channel() -> None:
    found = asked(("[N, 3, H, W]",), term("loss", "mse", "y", "t", mask="m"))["m"]
    assert found == [f"booleans of shape [{axes}]" for axes in ("N, 3, H, W", "N, H, W", "N, 3", "N", "N, 1, H, W")]
    found = asked(("[N, 3, H, W]",), term("loss", "cross_entropy", "y", "t", mask="m"))["m"]
    assert found == [f"booleans of shape [{axes}]" for axes in ("N, H, W", "N, H", "N", "N, 1, H, W")]


def test_square_errors_of_classes() -> None:
    found = asked(("[N, 10]",), term("loss", "mse", "y", "label"), term("metric", "accuracy"))
    assert found == {"label": ["numbers of shape [N, 10]"]}


UNFIT = {
    "a net without classes": (("[N]",), term("loss", "cross_entropy", "y", "label")),
    "an axis that there is not": (("[N, 3]",), term("loss", "cross_entropy", "y", "label", axis=2)),
    "the batch as classes": (("[N, 3]",), term("loss", "cross_entropy", "y", "label", axis=0)),
    "weights of other classes": (("[N, 3]",), term("loss", "cross_entropy", "y", "label", weight=(1.0, 2.0))),
    "numbers for classes": (("[N, 3]", "[N]"), term("loss", "nll", "y", "z")),
    "two shapes": (("[N, 3]", "[N, 4]"), term("loss", "mse", "y", "z")),
    "two ranks": (("[N, 1]", "[N]"), term("loss", "mse", "y", "z")),
    "two codes": (("[N, 3]", "[N, 4]"), term("loss", "gaussian_kl", "y", "z")),
    "no prediction": (("[N, 3]",), term("loss", "mse", "label", "y")),
    "no code": (("[N, 3]",), term("loss", "gaussian_kl", "y", "label")),
    "no image": (("[N, 3]",), term("loss", "total_variation", "y")),
    "no embedding": (("[N, 3, 4]",), term("loss", "cosine", "y", "label")),
    "no sequence": (("[N, 3]",), term("loss", "ctc", "y", "label")),
    "no blank": (("[N, T, 3]",), term("loss", "ctc", "y", "label", blank=3)),
    "softmax of one channel": (("[N, 1, 4, 4]",), term("loss", "dice", "y", "label", activation="softmax")),
    "no background": (("[N, 1, 4, 4]",), term("loss", "jaccard", "y", "label", background=False)),
    "one alpha for classes": (("[N, 3]",), term("loss", "focal", "y", "label", alpha=0.25)),
    "alphas for yes and no": (("[N, 1]",), term("loss", "focal", "y", "label", alpha=(0.25, 0.5))),
    "a weight for each of three": (("[N, 3]",), term("loss", "bce_with_logits", "y", "label", pos_weight=(1.0, 2.0))),
    "a mask of another shape": (("[N, 3]", "[N, 7]"), term("loss", "mse", "y", "label", mask="z")),
    "a metric of nothing": (("[N, 3]",), term("loss", "gaussian_kl", "y", "y"), term("metric", "mae")),
    "a metric of numbers": (("[N, 3]",), term("loss", "cross_entropy", "y", "label"), term("metric", "r2")),
    "classes and numbers at once": (("[N, 3]", "[N, 4]"), term("loss", "nll", "y", "label"), term("loss", "mse", "z", "label")),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_what_does_not_fit(case: str) -> None:
    shapes, *terms = UNFIT[case]
    with pytest.raises(Reject) as found:
        asked(shapes, *terms)
    assert found.value.code == "NS354"


@pytest.mark.parametrize("slot", ["loss", "metric", "penalty"])
def test_the_table_names_what_the_files_define(slot: str) -> None:
    from importlib import import_module

    from netspec.recipe import VOCABULARY

    for file, names in VOCABULARY[slot].items():
        defined = {
            value.NAME
            for value in vars(import_module(f"netspec.recipe.{file}")).values()
            if isinstance(value, type) and issubclass(value, Entry) and "NAME" in vars(value) and value.SLOT == slot
        }
        assert defined == set(names)


@pytest.mark.parametrize("name", known()["loss"])
def test_entries_are_data(name: str) -> None:
    from netspec.recipe.entry import read_entry, write_entry

    entry = lookup("loss", name)()
    assert isinstance(entry, Measure) and read_entry(write_entry(entry)) == entry
    with pytest.raises(ValueError):
        type(entry)(unheard=1)
