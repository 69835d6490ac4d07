"""What is written and not used, or written as a number: NS502 to NS508."""

from __future__ import annotations

from tests.check import check, compilations, diagnostics


def _found(text: str, code: str) -> list[tuple[str, int]]:
    return [(f.marked, f.line) for f in check(text, lints=(code,)) if f.code == code]


def _net(body: str, inputs: str = "input x: [N, 8]") -> str:
    return f"net a {{\n  {inputs}\n  {body}\n}}\n"


# ------------------------------------------------------------------------------------------------------------ NS502, NS503
def test_of_a_dead_chain_the_last_layer_is_reported_and_the_others_counted() -> None:
    text = _net("z = x -> linear(4) -> relu -> dropout\n  output y = x -> linear(4)")
    (found,) = diagnostics(compilations(text, lints=("NS502",)))
    assert found.place is not None and found.place.text == "dropout"
    assert any("2 layers before it" in note for note in found.notes)


def test_two_dead_ends_of_one_chain_count_it_once() -> None:
    text = _net("z = x -> linear(4) -> relu\n  a = z -> tanh\n  b = z -> sigmoid\n  output y = x -> linear(4)")
    notes = [any("before it" in n for n in d.notes) for d in diagnostics(compilations(text, lints=("NS502",)))]
    assert notes == [True, False]


def test_a_layer_of_which_one_output_is_used_is_alive() -> None:
    assert _found(_net("a, b = x -> split([4, 4])\n  output a"), "NS502") == []


def test_an_input_that_leads_to_a_dead_layer_alone_is_unused() -> None:
    text = _net("z = mask -> linear(4)\n  output y = x -> linear(4)", "input x: [N, 8]\n  input mask: [N, 8]")
    assert _found(text, "NS503") == [("mask", 3)]
    assert _found(_net("output x"), "NS503") == []


# ------------------------------------------------------------------------------------------------------------ NS504, NS505
def test_a_parameter_is_read_wherever_its_name_stands() -> None:
    reads = (
        "output x -> linear(p)",
        'output x -> linear(4) as "part{p}"',
        "y: [N, p] = x -> linear(4)\n  output y",
        "expect p == 4\n  output x -> linear(4)",
        "for i in 0..p {\n    x = x -> relu\n  }\n  output x",
        "if p > 3 {\n    x = x -> relu\n  }\n  output x",
        "output x -> linear(4) as f[p]",
    )
    for body in reads:
        text = f"block b(p = 4) {{\n  input x\n  {body}\n}}\n" + _net("output y = x -> b")
        assert _found(text, "NS504") == [], body


def test_a_parameter_in_a_default_an_init_or_a_train_section_is_read() -> None:
    assert _found("block b(p, q = p) {\n  input x\n  output x -> linear(q)\n}\n" + _net("output y = x -> b(4)"), "NS504") == []
    for section in ("init {\n    linear: normal(std = p)\n  }", "train {\n    batch = p\n  }"):
        assert _found(f"net a(p = 1) {{\n  input x: [N, 8]\n  output y = x -> linear(4)\n  {section}\n}}\n", "NS504") == []


def test_a_parameter_that_nothing_reads() -> None:
    head = "def d(p, q) = linear(q)\nblock b(r) {\n  input x\n  output x -> d(1, 4)\n}\n"
    assert _found(head + "net a(s = 1) {\n  input x: [N, 8]\n  output y = x -> b(2)\n}\n", "NS504") == [("p", 1), ("r", 2), ("s = 1", 6)]


def test_a_definition_is_used_by_any_other_statement() -> None:
    assert _found("def d = linear(4)\nblock b {\n  input x\n  output x -> d\n}\n" + _net("output y = x -> b"), "NS505") == []
    assert _found("def d = linear(4)\nnet v = a()\n" + _net("output y = x -> d"), "NS505") == []
    assert _found("def d = linear(4)\n" + _net("output y = x -> relu"), "NS505") == [("def d = linear(4)", 1)]


def test_a_library_without_nets_is_not_looked_at() -> None:
    assert check("def d(p) = linear(4)\n", lints=("NS504", "NS505")) == []


# ------------------------------------------------------------------------------------------------------------------- NS506
def test_the_batch_is_what_layers_take_it_for() -> None:
    assert _found(_net("output y = x -> relu -> linear(4)", "input x: [2, 8]"), "NS506") == [("x", 2)]
    assert _found(_net("output y = x -> relu", "input x: [2, 8]"), "NS506") == []
    assert _found(_net("output y = x -> linear(4)", "input x: [N, 8]"), "NS506") == []
    assert _found(_net("output y = x -> embedding(9, 4)", "input x: int64 [2, 8]"), "NS506") == []
    assert _found(_net("output y = x -> embedding(9, 4) -> linear(4)", "input x: int64 [2, 8]"), "NS506") == [("x", 2)]
    state = "input x: [N, T = 5, 8]; input h: [1, N, 4]"
    assert _found(_net("output y = x -> gru(4, h0 = h) -> linear(4)", state), "NS506") == []


# ------------------------------------------------------------------------------------------------------------------- NS507
def test_ranks_that_differ_do_not_meet_along_the_batch() -> None:
    inputs = "input x: [N, 1]\n  input t: [N]"
    assert _found(_net("output y = x - t", inputs), "NS507") == [("-", 4)]
    assert _found(_net("output y = (x -> squeeze(1)) - t", inputs), "NS507") == []


def test_what_is_stored_or_has_no_batch_may_have_fewer_axes() -> None:
    assert _found(_net("p = param((8,))\n  output y = x + p"), "NS507") == []
    assert _found(_net("output y = x - (x -> mean(axis = 0))"), "NS507") == []
    assert _found(_net("output y = x / (x -> sum)"), "NS507") == []


def test_a_skip_of_one_channel() -> None:
    one = "input x: [N, 1, H = 8, W = 8]"
    assert _found(_net("output y = x + (x -> conv(4, 3, padding = 1))", one), "NS507") == [("+", 3)]
    assert _found(_net("output y = x * (x -> conv(4, 3, padding = 1))", one), "NS507") == []
    assert _found(_net("output y = (x -> conv(4, 1)) + (x -> conv(4, 3, padding = 1))", one), "NS507") == []
    assert _found(_net("y = x -> conv(4, 1)\n  output (y -> conv(1, 1)) + y", one), "NS507") == []


# ------------------------------------------------------------------------------------------------------------------- NS508
def test_a_mask_of_a_second_attention_is_no_skip() -> None:
    attention = "  w = ((x, x -> permute((0, 2, 1))) -> matmul -> unsqueeze(1) -> conv(4, 1)) * 0.25 + m -> softmax\n"
    text = "net a {\n  input x: [N, T = 8, 16]\n  input m: [N, 1, T, T]\n"
    again = "  x = (w -> mean(axis = 1), x) -> matmul\n"
    assert _found(text + attention + again + attention + "  output w\n}\n", "NS507") == []


def test_a_global_operator_on_the_way_to_a_map_of_any_size() -> None:
    image = "input x: [N, 8, H = 8, W = 8]"
    gate = "output y = x * (x -> global_avg_pool -> conv(8, 1) -> sigmoid)"
    assert _found(_net(gate, image), "NS508") == [("global_avg_pool", 3)]
    assert _found(_net(gate, "input x: [N, 8, 8, 8]"), "NS508") == []
    assert _found(_net("output y = x -> global_avg_pool -> flatten", image), "NS508") == []
    assert _found(_net("output y = x -> conv(8, 3) -> max_pool(2) -> softmax(axis = 1)", image), "NS508") == []
