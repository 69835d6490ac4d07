"""What a comparison says of how networks are trained."""

from __future__ import annotations

import netspec

NET = "net a { input x: [N, 4]; output y = x -> linear(2); train { %s } }"


def _changes(old: str, new: str) -> dict[str, tuple[str | None, str | None]]:
    found = netspec.diff(netspec.loads(NET % old), netspec.loads(NET % new))
    return {change["what"]: (change["from"], change["to"]) for change in found.data()["training"]}


def test_settings_that_differ_are_told_as_they_are_written() -> None:
    old = "loss = mse(y, t) + 1e-4 * l2(weights); optimizer = sgd(0.1); schedule = warmup(2) then cosine; rates { linear1: 3 }; batch = 32"
    new = 'loss = mse(y, t, mask = m); optimizer = adam; schedule = warmup(2) then cosine; only = ["linear1"]'
    assert _changes(old, new) == {
        "train: loss": ("mse(y, t) + 0.0001 * l2(weights)", "mse(y, t, m)"),
        "train: optimizer": ("sgd(lr = 0.1)", "adam"),
        "train: rates": ("{ linear1: 3 }", None),
        "train: only": (None, "[linear1]"),
    }


def test_the_network_is_the_same_however_it_is_trained() -> None:
    found = netspec.diff(netspec.loads(NET % "epochs = 3"), netspec.loads(NET % "epochs = 4"))
    assert found.same and str(found).splitlines() == ["a and a: the same network, trained otherwise", "~ train: epochs  3 -> 4"]


def test_sections_are_matched_by_name() -> None:
    text = "net a { input x: [N, 4]; output y = x -> linear(2) }\ntrain b of a { epochs = 3 }"
    found = netspec.diff(netspec.loads(text), netspec.loads(text.replace("train b", "train c")))
    assert [(c["what"], c["from"], c["to"]) for c in found.data()["training"]] == [
        ("train b: epochs", "3", None),
        ("train c: epochs", None, "3"),
    ]
