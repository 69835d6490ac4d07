"""The commands that print catalogues, format, and write files."""

from __future__ import annotations

import json
from pathlib import Path

from netspec.diagnostics.codes import CODES
from tests.cli.conftest import GOOD, Command

# ------------------------------------------------------------------------------------------------------------ fmt
UGLY = GOOD.replace("  input", "      input").replace(" -> act", "->act")


def test_fmt_in_place(netspec: Command) -> None:
    Path("a.net").write_text(UGLY)
    assert netspec("fmt", "--check", "a.net").status == 1
    assert Path("a.net").read_text() == UGLY
    assert netspec("fmt", "a.net").status == 0
    assert Path("a.net").read_text() != UGLY
    assert netspec("fmt", "--check", "a.net").status == 0
    assert netspec("check", "a.net").status == 0


def test_fmt_diff(netspec: Command) -> None:
    Path("a.net").write_text(UGLY)
    done = netspec("fmt", "--diff", "a.net")
    assert done.status == 1 and done.out.startswith("--- a.net") and "\n+  input image" in done.out
    assert Path("a.net").read_text() == UGLY


def test_fmt_of_standard_input(netspec: Command) -> None:
    done = netspec("fmt", "-", stdin=UGLY)
    assert done.status == 0 and netspec("fmt", "-", stdin=done.out).out == done.out


def test_fmt_leaves_what_it_cannot_read(netspec: Command) -> None:
    Path("a.net").write_text("net a {\n  input x ->\n}\n")
    done = netspec("fmt", "a.net")
    assert done.status == 1 and "error[NS1" in done.err
    assert Path("a.net").read_text() == "net a {\n  input x ->\n}\n"


# ---------------------------------------------------------------------------------------------------- catalogues
def test_explain(netspec: Command) -> None:
    assert netspec("explain", "NS412").out.startswith("# NS412: ")
    assert netspec("explain", "ns412").status == 0
    assert [line[:5] for line in netspec("explain").out.splitlines()] == list(CODES)
    done = netspec("explain", "NS413x")
    assert done.status == 2 and "did you mean" in done.err


def test_ops(netspec: Command) -> None:
    catalogue = netspec("ops")
    assert catalogue.status == 0 and "conv(channels, kernel, stride = 1" in catalogue.out
    page = netspec("ops", "bn").out
    assert page.startswith("batch_norm(") and "[N, " in page
    assert netspec("ops", "conv", "--format", "json").data["name"] == "conv"
    assert len(netspec("ops", "--format", "json").data) > 60


def test_zoo(netspec: Command) -> None:
    assert "net resnet50" in netspec("zoo", "resnet").out
    assert netspec("zoo", "zoo.resnet:resnet50").status == 0
    assert netspec("zoo", "lenet", "--copy").status == 0 and Path("lenet.net").exists()
    assert netspec("check", "lenet.net").status == 0
    again = netspec("zoo", "lenet", "--copy")
    assert again.status == 2 and "NS019" in again.err


def test_zoo_lists_parameters_cost_input_and_paper(netspec: Command) -> None:
    rows = {row["spec"]: row for row in netspec("zoo", "--format", "json").data}
    assert rows["zoo.resnet:resnet50"] == {
        "spec": "zoo.resnet:resnet50",
        "parameters": 25_557_032,
        "macs": 4_089_184_256,
        "input": "[N, 3, H = 224, W = 224]",
        "source": 'He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016',
    }
    text = netspec("zoo").out
    assert "  resnet50 " in text and "25,557,032" in text and "4.09 G" in text and f"{len(rows)} nets." in text


def test_zoo_finds_the_family_of_a_net(netspec: Command) -> None:
    assert "net resnet50" in netspec("zoo", "resnet50").out
    missing = netspec("zoo", "resnet:resnet51")
    assert missing.status == 2 and "did you mean `resnet5" in missing.err
    assert netspec("zoo", "resnet50", "--copy").status == 0 and Path("resnet.net").exists()
    assert [row["spec"] for row in netspec("zoo", "lenet", "--format", "json").data["nets"]] == ["zoo.lenet:lenet5"]
    assert netspec("zoo", "--copy").status == 2


def test_what_the_zoo_lists_is_what_ships() -> None:
    """The stored rows are made of the files as they are. (`python -m netspec.cli.zoo_index` writes them anew.)"""
    from netspec.cli import zoo_index

    stored = zoo_index._stored()
    names = sorted(p.stem for p in Path(zoo_index.data_path("specs")).glob("*.net"))
    assert {name: entry["digest"] for name, entry in stored.items()} == {name: zoo_index._digest(name) for name in names}
    assert all(entry["rows"] and all(row["source"] for row in entry["rows"]) for entry in stored.values())
    for name in ("dcgan", "lenet", "perceptron", "recurrent", "transformer", "unet"):
        fresh = zoo_index._compiled(name, stored[name]["digest"])
        assert {"digest": fresh.digest, "source": fresh.source, "rows": fresh.rows} == stored[name], name


# ---------------------------------------------------------------------------------------------------------- files
def test_new(netspec: Command) -> None:
    assert netspec("new", "tiny").status == 0
    assert netspec("check", "tiny.net").out.splitlines()[0] == "tiny.net:tiny: fine"
    assert netspec("fmt", "--check", "tiny.net").status == 0
    Path("tiny.net").write_text("mine")
    again = netspec("new", "tiny")
    assert again.status == 2 and "NS019" in again.err and Path("tiny.net").read_text() == "mine"


def test_build_writes_whole_files_or_none(netspec: Command, good: str, bad: str) -> None:
    assert netspec("build", good, "-o", "good.json").status == 0
    graph = json.loads(Path("good.json").read_text())
    assert graph["format"] == "netspec.graph" and graph["name"] == "good"
    assert netspec("build", bad, "-o", "bad.json").status == 1 and not Path("bad.json").exists()
    done = netspec("build", good, "-o", "nowhere/good.json")
    assert done.status == 1 and "NS020" in done.err


def test_results_and_remarks_go_apart(netspec: Command, good: str) -> None:
    done = netspec("build", good, "-o", "good.py")
    assert done.out == "" and "good.py: " in done.err
