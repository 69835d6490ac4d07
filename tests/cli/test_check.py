"""`netspec check`: its formats, where its input comes from, and what reaches a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netspec.diagnostics.codes import CODES
from tests.cli.conftest import BAD, GOOD, Command, Outcome
from tests.timing import in_time


def test_text_marks_the_source(netspec: Command, bad: str) -> None:
    lines = netspec("check", bad).err.split("\n")
    assert " --> bad.net:3:45" in lines
    assert "3 │   output image -> conv(8, 3, groups = 2) -> lineer(4)" in lines
    assert "  │                                             ^^^^^^ unknown name" in lines
    assert "  = help: did you mean `linear`?" in lines
    assert "  = more: netspec explain NS201" in lines


def test_json(netspec: Command, bad: str) -> None:
    done = netspec("check", bad, "--format", "json")
    assert done.status == 1 and done.err == ""
    found = {d["code"]: d for d in done.data["diagnostics"]}
    assert set(found) == {"NS404", "NS201"} and done.data["nets"] == []
    place = found["NS201"]["places"][0]
    assert (place["file"], place["line"], place["column"], place["end_line"], place["end_column"]) == ("bad.net", 3, 45, 3, 51)
    assert found["NS201"]["severity"] == "error" and found["NS201"]["helps"] == ["did you mean `linear`?"]
    fine = netspec("check", "-", "--format", "json", stdin=GOOD).data
    assert fine["nets"] == ["<stdin>:good"] and fine["diagnostics"] == []
    height, width = fine["conditions"]["<stdin>:good"]
    assert (height["sizes"], height["condition"], height["decided"]) == (["H"], "H >= 3", True)
    assert [c["text"] for c in width["because"]] == ["`conv` at line 3 needs W >= 3"]


def test_sarif(netspec: Command, bad: str) -> None:
    done = netspec("check", bad, "--format", "sarif")
    log = done.data
    assert done.status == 1 and log["version"] == "2.1.0"
    run = log["runs"][0]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {"NS201", "NS404"}
    assert {r["ruleId"] for r in run["results"]} == {"NS201", "NS404"} and {r["level"] for r in run["results"]} == {"error"}
    region = next(r for r in run["results"] if r["ruleId"] == "NS201")["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 3, "startColumn": 45, "endLine": 3, "endColumn": 51}


def test_github(netspec: Command, bad: str) -> None:
    lines = netspec("check", bad, "--format", "github").out.splitlines()
    assert "::error file=bad.net,line=3,col=45,title=NS201::nothing is called `lineer`" in lines
    assert len(lines) == 2


def test_standard_input(netspec: Command) -> None:
    assert netspec("check", "-", stdin=GOOD).out.splitlines()[0] == "<stdin>:good: fine"
    done = netspec("check", "-", stdin=BAD)
    assert done.status == 1 and "<stdin>:3:45" in done.err
    assert netspec("summary", "--", "-:good", stdin=GOOD).status == 0


def test_several_files_in_one_run(netspec: Command, good: str, bad: str) -> None:
    done = netspec("check", good, bad, "nowhere.net", "--format", "json")
    assert done.status == 1
    assert {d["code"] for d in done.data["diagnostics"]} == {"NS404", "NS201", "NS001"} and done.data["nets"] == ["good.net:good"]


def test_parameters_and_sizes(netspec: Command, good: str) -> None:
    data = netspec("summary", good, "-p", "classes=7", "-p", "act=tanh", "--size", "H=64,W=48", "--format", "json").data
    assert [row["op"].split("(")[0] for row in data["layers"]][1] == "tanh"
    assert data["outputs"][0]["shape"][-1] == 7
    small = netspec("summary", good, "--format", "json").data
    assert data["macs"] > small["macs"] and data["parameters"] < small["parameters"]
    assert netspec("check", good, "-p", "clases=7").status == 1
    assert netspec("check", good, "--size", "H=2").status == 1


def test_a_net_among_several(netspec: Command, tmp_path: Path) -> None:
    Path("two.net").write_text(GOOD + GOOD.replace("net good", "net other"))
    asks = "  H >= 3 and W >= 3   because `conv` at line {} needs H >= 3\n"
    assert netspec("check", "two.net").out == f"two.net:good: fine\n{asks.format(3)}two.net:other: fine\n{asks.format(7)}"
    assert netspec("check", "two.net:other").out == f"two.net:other: fine\n{asks.format(7)}"
    assert "error[NS012]" in netspec("summary", "two.net").err
    assert netspec("summary", "two.net:other").status == 0
    assert "error[NS010]" in netspec("summary", "two.net:othr").err


def test_limits(netspec: Command, good: str) -> None:
    done = netspec("check", good, "--limit", "nodes=3")
    assert done.status == 1 and "error[NS004]" in done.err and "limit `nodes`" in done.err


def test_text_that_is_no_text(netspec: Command) -> None:
    Path("latin.net").write_bytes("# caf\xe9\n".encode("latin-1"))
    assert "error[NS002]" in netspec("check", "latin.net").err
    Path("large.net").write_bytes(b"#" * (1 << 21))
    assert "error[NS003]" in netspec("check", "large.net").err
    Path("mark.net").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert netspec("check", "mark.net").status == 0


class _Terminal:
    """Standard error as a terminal."""

    def __init__(self, under: object) -> None:
        self.under = under

    def __getattr__(self, name: str) -> object:
        return getattr(self.under, name)

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("plain", [False, True], ids=["colour", "NO_COLOR"])
def test_colour_on_a_terminal_only(netspec: Command, bad: str, monkeypatch: pytest.MonkeyPatch, plain: bool) -> None:
    import sys

    assert "\x1b" not in netspec("check", bad).err
    monkeypatch.setenv("TERM", "xterm")
    if plain:
        monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", _Terminal(sys.stderr))
    assert ("\x1b" in netspec("check", bad).err) is not plain


def test_control_characters_of_a_spec_never_reach_a_terminal(netspec: Command) -> None:
    done = netspec("check", "-", stdin='net a {\n  input x: [N, 1]\n  output x -> linear("\x1b[31m\u202e")\n}\n')
    assert done.status == 1 and "\x1b" not in done.err and "\u202e" not in done.err


# ------------------------------------------------------------------------------------------------- the impossible
IMPOSSIBLE = {
    "a kernel larger than its input": ("x -> conv(8, 9)", "NS402", "conv(8, 9)"),
    "groups that do not divide": ("x -> conv(8, 3, groups = 2)", "NS404", "conv(8, 3, groups = 2)"),
    "shapes that do not add": ("x + (x -> conv(3, 3))", "NS411", "+"),
    "an unknown operator": ("x -> convv(8, 3)", "NS201", "convv"),
    "a wrong argument": ("x -> conv(8, 3, strides = 2)", "NS303", "strides = 2"),
    "a missing import": ("x", "NS001", 'from "nowhere.net" import unit'),
    "a label twice": ("x -> conv(3, 1) as a -> conv(3, 1) as a", "NS208", "conv(3, 1)"),
    "an endless recursion": ("x -> endless", "NS007", "endless"),
    "a long loop": ("x -> linear(sum(0..10^12))", "NS006", "0..10^12"),
    "a long loop of statements": ("x\n  for i in 0..1000000000000 { y = i }", "NS006", "0..1000000000000"),
    "a huge number": ("x -> linear(2^(10^9))", "NS005", "^"),
    "a huge product": ("x -> linear(" + " * ".join(["9999999999999999999999"] * 80) + ")", "NS005", "*"),
    "a huge repetition": ("x -> 10^15 * relu", "NS004", None),
}


@pytest.mark.parametrize("case", IMPOSSIBLE, ids=str)
def test_impossible_specs_are_refused_at_once(netspec: Command, case: str) -> None:
    expression, code, marked = IMPOSSIBLE[case]
    text = (
        ('from "nowhere.net" import unit\n' if "import" in case else "\n")
        + "block endless {\n  input x\n  output x -> endless\n}\n"
        + f"net a {{\n  input x: [N, 3, 8, 8]\n  output {expression}\n}}\n"
    )
    outcomes: list[Outcome] = []
    assert in_time(1, lambda: outcomes.append(netspec("check", "-", "--format", "json", stdin=text)))
    done = outcomes[0]
    assert done.status == 1
    (finding,) = done.data["diagnostics"]
    assert finding["code"] == code and code in CODES
    if marked is not None:
        place = finding["places"][0]
        line = text.split("\n")[place["line"] - 1]
        assert line[place["column"] - 1 : place["end_column"] - 1] == marked


def test_a_doubling_recursion_runs_into_a_limit(netspec: Command) -> None:
    text = """
block doubling(n) {
  input x
  if n > 0 { x = x -> doubling(n - 1) -> doubling(n - 1) }
  output x
}
net a {
  input x: [N, 8]
  output x -> doubling(60)
}
"""
    done = netspec("check", "-", "--limit", "steps=10000", stdin=text)
    assert done.status == 1 and "error[NS004]" in done.err and "limit `steps`" in done.err


def test_json_is_json_whatever_the_text(netspec: Command) -> None:
    for text in ("", "\n", "net", "\0", "net a {", "}", '"""', "net a = a", "from zoo import x", "💥"):
        done = netspec("check", "-", "--format", "json", stdin=text)
        assert done.status in (0, 1) and json.loads(done.out)["nets"] == [], text
