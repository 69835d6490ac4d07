"""Tables and data on the pages are those of the code."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec import ops
from netspec.diagnostics.codes import CODES
from netspec.initializers import GAINS, INITIALIZERS
from tests.docs.test_pages import ROOT, Outcome, blocks, command

__all__ = ["command"]  # the fixture

TRUST, NUMBERS, ANALYSIS = (ROOT / "grammar" / f"{name}.md" for name in ("trust", "numbers", "analysis"))


def table(page: Path, name: str) -> list[list[str]]:
    """The rows, without headings, of the table between `<!-- name -->` and `<!-- /name -->`."""
    inner = page.read_text(encoding="utf-8").split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in inner.splitlines() if line.startswith("|")]
    return [[cell.strip("| ") for cell in row] for row in rows[2:]]


# ---------------------------------------------------------------------------------------------------------------- trust
def test_limits() -> None:
    rows = table(TRUST, "limits")
    shown = {row[0].strip("`"): float(row[1].replace(",", "")) for row in rows}
    assert shown == {f.name: getattr(netspec.Limits(), f.name) for f in dataclasses.fields(netspec.Limits)}
    assert all(row[3] in ("", *CODES) for row in rows)


@pytest.mark.parametrize(
    ("limit", "code", "text"),
    [
        ("file_bytes=40", "NS003", "net a { input x: [N, 4]; output x -> relu }"),
        ("nesting=3", "NS105", "net a { input x: [N, 4]; output ((((x)))) }"),
        ("literal_digits=3", "NS106", "net a { input x: [N, 4]; output x -> linear(1000) }"),
        ("integer_bits=8", "NS005", "net a { input x: [N, 4]; output x -> linear(2 ^ 9) }"),
        ("nodes=3", "NS004", "net a { input x: [N, 4]; output x -> 4 * relu }"),
        ("loop=3", "NS006", "net a { input x: [N, 4]; for i in 0..4 { x = x -> relu }; output x }"),
        ("steps=3", "NS004", "net a { input x: [N, 4]; x = x -> relu; x = x -> relu; x = x -> relu; output x }"),
        ("block_depth=3", "NS007", "block b(n) { input x; output x -> b(n + 1) }\nnet a { input x: [N, 4]; output x -> b(0) }"),
        ("parameters=3", "NS004", "net a { input x: [N, 4]; output x -> linear(4) }"),
    ],
    ids=lambda value: value if "=" in value and "{" not in value else "",
)
def test_limits_are_enforced_with_the_code_shown(limit: str, code: str, text: str, command: Callable[[str], Outcome]) -> None:
    Path("a.net").write_text(text + "\n")
    done = command(f"netspec check a.net --limit {limit}")
    name = limit.partition("=")[0]
    assert done.status == 1 and f"error[{code}]" in done.err and f"`{name}`" in done.err, done.err
    assert dict((row[0].strip("`"), row[3]) for row in table(TRUST, "limits"))[name] == code


def test_statuses() -> None:
    from netspec.cli import main

    stated = {int(number) for number in re.findall(r"\b(\d+) ", main.__doc__.split("\n\n")[1])}
    assert {int(row[0]) for row in table(TRUST, "statuses")} == stated


def test_json() -> None:
    """The specs and the JSON on the page belong together."""
    found = [b for b in blocks(TRUST) if b.language in ("net", "json")]
    assert [b.language for b in found] == ["net", "json"] * 2
    assert json.loads(found[3].text) == netspec.loads(found[2].text).summary().data()


def test_json_of_findings(command: Callable[[str], Outcome]) -> None:
    spec, data = [b.text for b in blocks(TRUST) if b.language in ("net", "json")][:2]
    Path("tiny.net").write_text(re.sub(r" *# error: .*", "", spec))
    done = command("netspec check tiny.net --format json")
    assert (done.status, json.loads(done.out)) == (1, json.loads(data))


def test_interface() -> None:
    """Every name on the page is there, takes those arguments, and every public name is on the page."""
    shown: set[str] = set()
    for row in table(TRUST, "interface"):
        for name, call in re.findall(r"`((?:netspec|Net)\.\w+)(\([^`]*\))?`", row[0]):
            owner: Any = netspec if name.startswith("netspec.") else netspec.Net
            member = name.partition(".")[2]
            shown.add(name)
            assert hasattr(owner, member) or member in owner.__dataclass_fields__, name
            if call:
                wanted = [word.strip("* ") for word in call.strip("()").split(",") if word.strip() not in ("", "*")]
                got = [p for p in inspect.signature(getattr(owner, member)).parameters if p != "self"]
                assert wanted == got, name
    public = {f"netspec.{name}" for name in netspec.__all__} | {f"Net.{name}" for name in vars(netspec.Net) if not name.startswith("_")}
    assert shown == public


# --------------------------------------------------------------------------------------------------------- architecture
def test_layers() -> None:
    """The layers on the page are those that the import linter holds."""
    shown = [b.text.split("\n") for b in blocks(ROOT / "grammar" / "architecture.md") if b.text.startswith("cli\n")]
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("layers = [")[1].split("]")[0]
    assert [line for line in shown[0] if line] == [line.replace("netspec.", "") for line in re.findall(r'"([^"]*)"', contract)]


# ------------------------------------------------------------------------------------------------------------- analysis
def test_lints() -> None:
    from netspec.analyses.lint.rule import RULES
    from netspec.analyses.lint.rules import load_rules

    load_rules()
    wanted = [[r.code, CODES[r.code], r.severity.value + ("" if r.on else ", off by default")] for _, r in sorted(RULES.items())]
    assert table(ANALYSIS, "lints") == wanted, "\n".join(f"| {' | '.join(row)} |" for row in wanted)


# -------------------------------------------------------------------------------------------------------------- numbers
def limitations() -> list[list[str]]:
    """The rows that the registry gives."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for name in (*ops.names(), *ops.MADE):
        for gap in ops.lookup(name).LIMITATIONS:
            rows.setdefault((gap.facet, gap.condition, gap.reason), []).append(f"`{name}`")
    return [[", ".join(names), facet, condition, reason] for (facet, condition, reason), names in rows.items()]


def test_limitations() -> None:
    wanted = limitations()
    assert table(NUMBERS, "limitations") == wanted, "\n".join(f"| {' | '.join(row)} |" for row in wanted)


def test_figures_of_verify() -> None:
    from netspec.backends.onnx import OPSETS, OnnxOptions
    from netspec.runtime import cases, verify

    text = " ".join(NUMBERS.read_text(encoding="utf-8").split())
    assert f"opsets {OPSETS[0]} to {OPSETS[-1]} ({OnnxOptions().opset} by default)" in text
    assert f"<= {verify.NODE_FACTOR:g} · max(own, {verify.NODE_ULPS:g} units in the last place" in text
    assert (verify.END_FACTOR, verify.END_ULPS) == (16, 4) and "with factor 16 and four units" in text
    described = text.split("**Characters of inputs**")[1].split(".")[0]
    assert [described.count(character) for character in cases.CHARACTERS] == [1] * len(cases.CHARACTERS)
    given = inspect.signature(verify.verify).parameters
    assert given["batches"].default == (1, 3, 2) and given["count"].default == 3


@pytest.mark.parametrize("spec", ["zoo.resnet:resnet50", "zoo.vgg:vgg16", "zoo.densenet:densenet121", "zoo.mobilenet:mobilenet_v2"])
def test_published_figures(spec: str) -> None:
    facts = netspec.load(spec).summary()
    text = " ".join(ANALYSIS.read_text(encoding="utf-8").split())
    assert re.search(rf"{facts.parameters:,} (parameters )?and {facts.macs / 1e9:.3f} G", text)


def test_gains() -> None:
    assert {row[0].strip("`"): pytest.approx(_number(row[1]), rel=1e-6) for row in table(NUMBERS, "gains")} == GAINS


def _number(text: str) -> float:
    return float(eval(text.replace("√2", "2 ** 0.5"), {"__builtins__": {}}))


def test_every_initializer_is_on_the_page() -> None:
    shown = set(re.findall(r"`(\w+)", " ".join(row[0] for row in table(NUMBERS, "initializers"))))
    assert shown == set(INITIALIZERS)


# ------------------------------------------------------------------------------------------------------------- training
TRAINING = ROOT / "grammar" / "training.md"


def _named(part: str) -> set[str]:
    """The words in code between two marks of the page on training: of a table, those of its first column, without arguments."""
    inner = TRAINING.read_text(encoding="utf-8").split(f"<!-- {part} -->\n")[1].split(f"<!-- /{part} -->")[0]
    text = "\n".join(line.split(" | ")[0] for line in inner.splitlines()[2:]) if inner.startswith("|") else inner
    return {word.partition("(")[0] for word in re.findall(r"`([^`]+)`", text)}


def test_the_settings_of_training() -> None:
    from netspec.elaborate.training import SETTINGS

    assert _named("settings") == set(SETTINGS)


@pytest.mark.parametrize(
    ("part", "slots"),
    [
        ("losses", ("loss", "penalty")),
        ("optimizers", ("optimizer",)),
        ("schedules", ("schedule",)),
        ("augmentations", ("augmentation",)),
        ("metrics", ("metric",)),
    ],
)
def test_the_vocabulary_of_training(part: str, slots: tuple[str, ...]) -> None:
    from netspec import recipe

    assert _named(part) == {name for slot in slots for name in recipe.known()[slot]}
