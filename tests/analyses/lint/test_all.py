"""What holds for every lint: it has a page that makes it fire, it is silent on what ships, and it never fails nor takes long."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from netspec.analyses.lint import Settings, lint, silences
from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.rule import RULES
from netspec.analyses.lint.rules import load_rules
from netspec.analyses.lint.settings import lints
from netspec.api import check_source, loads
from netspec.diagnostics.codes import CODES, page
from netspec.diagnostics.model import Diagnostic
from netspec.graph import Graph
from netspec.locate import data_path
from netspec.source import Source
from tests.check import check
from tests.differential.networks import Coverage, network

load_rules()
#: opinions that published networks do not share: off unless asked for, and said so on their pages
OFF = {code for code, rule in RULES.items() if not rule.on}
SPECS = sorted(path.name for path in data_path("specs").glob("*.net"))
#: the shortest reason that says something
_WORDS = 3


# ------------------------------------------------------------------------------------------------------------- each rule
def test_every_code_of_advice_has_a_rule_and_every_rule_a_code() -> None:
    assert sorted(RULES) == [code for code in lints() if code != "NS500"]
    assert set(RULES) <= set(CODES)


@pytest.mark.parametrize("code", sorted(RULES))
def test_a_rule_states_its_condition(code: str) -> None:
    words = (RULES[code].check.__doc__ or "").split()
    assert len(words) >= 12, f"{code}: {RULES[code].check.__name__}"


@pytest.mark.parametrize("code", sorted(RULES))
def test_the_first_example_of_a_page_fires_the_lint_and_no_other_of_them_does_unasked(code: str) -> None:
    blocks = re.findall(r"```net\n(.*?)```", page(code), re.DOTALL)
    wrong = [b for b in blocks if re.search(rf"(error|warning|info): {code}", b)]
    assert wrong and blocks[0] == wrong[0]
    assert {f.code for f in check(blocks[0], lints=(code,)) if f.code.startswith("NS5")} == {code}
    for right in blocks:
        if right not in wrong:
            assert all(f.code != code for f in check(right, lints=(code,)))


@pytest.mark.parametrize("code", sorted(OFF))
def test_a_page_says_that_its_lint_is_off(code: str) -> None:
    assert f"--enable {code}" in page(code)


# ---------------------------------------------------------------------------------------------------------- what ships
def _advice(name: str) -> list[Diagnostic]:
    """All that all lints say of a shipped file, but those that are off."""
    text = (data_path("specs") / name).read_text(encoding="utf-8")
    source = Source(name, text, str(data_path("specs") / name))
    done = check_source(source, settings=Settings(enable=("all",), ignore=tuple(sorted(OFF))))
    return [d for compilation in done for d in compilation.report.diagnostics if d.code.startswith("NS5")]


@pytest.mark.parametrize("name", SPECS)
def test_shipped_specs_are_silent_or_say_why(name: str) -> None:
    assert [str(d) for d in _advice(name)] == []


@pytest.mark.parametrize("name", SPECS)
def test_a_comment_that_silences_gives_a_reason(name: str) -> None:
    source = Source(name, (data_path("specs") / name).read_text(encoding="utf-8"))
    for silence in silences(source):
        reason = re.sub(r"#\s*netspec:\s*ignore(-file)?|NS\d{3}|,", " ", silence.place.text)
        assert len(re.findall(r"[^\W\d]\w+", reason)) >= _WORDS, silence.place.text


# ------------------------------------------------------------------------------------------------------ whatever is given
def _random_graphs(first: int, count: int) -> Iterator[Graph]:
    coverage = Coverage()
    for seed in range(first, first + count):
        yield network(50_000 + seed, coverage).graph


@pytest.mark.parametrize(("first", "count"), [(0, 20), pytest.param(20, 130, marks=pytest.mark.slow)])
def test_no_rule_fails_on_random_networks_nor_without_their_text(first: int, count: int) -> None:
    for graph in _random_graphs(first, count):
        for bare in (graph, Graph.read(graph.write())):
            facts = Facts(bare)
            for rule in RULES.values():
                for finding in rule.check(facts):
                    assert finding.message and "None" not in finding.message, (rule.code, finding.message)


def test_without_sources_findings_have_no_place() -> None:
    graph = loads("net a {\n  input x: [N, 8]\n  output y = x -> linear(4) -> bn\n}\n").graph
    (found,) = lint(Graph.read(graph.write()), settings=Settings(only=("NS510",)))
    assert found.place is None and "in linear1" in found.notes


# ------------------------------------------------------------------------------------------------------------------ time
_UNITS = ("linear(8) -> relu", "linear(8, bias = false) -> bn -> relu -> dropout(0.1)", "linear(8) -> relu -> linear(8) -> ln -> tanh")


def _seconds(layers: int, unit: str) -> float:
    text = f"net a {{\n  input x: [N, 8]\n  output y = x -> {layers} * ({unit})\n  init {{ linear: he_normal }}\n}}\n"
    net = loads(text)
    start = time.process_time()
    lint(net.graph, net.compilation.tree, net.compilation.sources)
    return time.process_time() - start


@pytest.mark.slow
@pytest.mark.parametrize("unit", _UNITS)
def test_time_grows_in_proportion(unit: str) -> None:
    short = long = float("inf")
    for _ in range(4):  # a neighbour may have the caches for a while
        short, long = min(short, _seconds(1_000, unit)), min(long, _seconds(4_000, unit))
        if long < 8 * short + 0.2:
            return
    pytest.fail(f"4 times as many layers took {long / short:.1f} times as long ({short:.2f} s, {long:.2f} s)")


def test_residual_blocks_of_any_number() -> None:
    def seconds(blocks: int) -> float:
        body = f"for i in 0..{blocks} {{\n    x = x + (x -> ln -> linear(8) -> relu -> linear(8))\n  }}\n  output x"
        net = loads(f"net a {{\n  input x: [N, 8]\n  {body}\n}}\n")
        start = time.perf_counter()
        lint(net.graph, net.compilation.tree, net.compilation.sources)
        return time.perf_counter() - start

    assert seconds(400) < 10 * seconds(100) + 0.2
