"""Generated source: what it looks like, that it computes what the graph says, and that a formatter has nothing to add."""

from __future__ import annotations

import shutil
import subprocess
from textwrap import dedent

import pytest
import torch

import netspec
from netspec.backends.torch_module import execute, network_class
from netspec.backends.torch_source import write_source
from netspec.op import initializer
from tests.backends.torch.interpreter import example_inputs, interpret

RESIDUAL = """
default conv(bias = false)
block unit(width, stride = 1) {
  input x
  y = x -> conv(width, 3, stride = stride, padding = 1) -> bn -> relu -> conv(4 * width, 1) -> bn
  if stride != 1 or x.channels != 4 * width { x = x -> (conv(4 * width, 1, stride = stride) -> bn) as downsample }
  output y + x -> relu
}
def stage(width, depth, stride = 2) = unit(width, stride) -> (depth - 1) * unit(width)
net residual(classes = 5) {
  input image: [N, 3, H = 20, W = 24]
  output logits: [N, classes] = image -> conv(8, 3, padding = 1) -> bn -> relu
    -> stage(8, 3, stride = 1) as layer1 -> stage(16, 2) as layer2 -> global_avg_pool -> flatten -> linear(classes) as fc
  init {
    conv: he_normal(mode = fan_out, compat = torch)
    bn: weight = constant(0.5)
    fc: bias = zeros
  }
}
"""

UNET = """
def double(c) = 2 * (conv(c, 3, padding = same) -> bn -> relu)
net unet(base = 4, depth = 2) {
  input image: [N, 1, H = 16, W = 12]
  x = image
  for i in 0..depth { e[i] = x -> double(base * 2^i) as enc[i]
                      x = e[i] -> max_pool(2) }
  x = x -> double(base * 2^depth) as mid
  for i in depth..0 { x = e[i] ++ (x -> conv_transpose(base * 2^i, 2, stride = 2)) -> double(base * 2^i) as dec[i] }
  output mask = x -> conv(2, 1)
}
"""

SIZES = """
net sizes() {
  input image: [N, 3, H = 18, W = 13]
  x = image -> conv(4, 3, stride = 2)
  y = x -> (conv(4, 3) -> resize(like = image)) as up
  z = image -> conv(4, 5) -> crop(like = x)
  output y = y
  output z = x + z
}
"""

SHARED = """
block tower(c) { input x; output x -> linear(c) -> tanh }
net siamese() {
  input left: [N, 6]
  input right: [N, 6]
  layer f = tower(4)
  layer g = linear(3)
  a = left -> f -> g
  b = right -> f -> g
  output near = a * b
  output far = a - b
}
"""

RECURSIVE = """
block level(d) { input x
  if d > 0 { y = x -> linear(8) -> level(d - 1) } else { y = x -> linear(8) }
  output y + x }
net nested() { input x: [N, 8]; output y = x -> level(2) }
"""

LISTS = """
block mix(width) { input x; output x + (x -> layer_norm -> linear(4 * width) -> gelu -> linear(width)) }
net lists() {
  input tokens: [N, 7, 16]
  x = tokens + (param([1, 7, 16], init = normal(std = 0.02)) as position)
  for i in 0..3 { x = x -> mix(16) as blocks[i] }
  for i in 2..0 { x = x -> mix(16) as late[i] }
  x = x -> (linear(8) -> relu) as "deep.down"
  output scores = x -> layer_norm -> linear(3) as "type"
}
"""

OPTIONAL = """
block unit(c, gate) { input x
  y = x -> conv(c, 3, padding = 1)
  if gate { y = y -> (conv(c, 1) -> sigmoid) as gate }
  output x + y }
net gated() { input x: [N, 4, H = 8, W = 8]; output y = x -> unit(4, true) -> unit(4, false) -> unit(4, true) }
"""

VARIANTS = """
block pick(c) { input x
  y = x -> conv(c, 3, padding = 1)
  output y -> resize(size = (x.height * 2, x.width * 2)) }
net variants() {
  input image: [N, 3, H = 20, W = 24]
  input small: [N, 3, 6, 6]
  layer g = (conv(3, 3) -> resize(like = image))
  layer p = pick(3)
  a = image -> max_pool(2) -> g
  b = small -> g
  c = small -> p
  d = image -> p
  output z = a + b + (d -> max_pool(2))
  output c = c
}
"""

TEXTS = {
    "residual": RESIDUAL,
    "unet": UNET,
    "sizes": SIZES,
    "shared": SHARED,
    "recursive": RECURSIVE,
    "lists": LISTS,
    "optional": OPTIONAL,
    "variants": VARIANTS,
}


def source(text: str) -> str:
    return write_source(netspec.loads(text).graph)


def network(text: str) -> torch.nn.Module:
    graph = netspec.loads(text).graph
    module = network_class(execute(write_source(graph), graph.name))()
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return module


def outputs(result: object) -> list[torch.Tensor]:
    return list(result) if isinstance(result, tuple) else [result]  # type: ignore[list-item]


@pytest.mark.parametrize("name", TEXTS)
def test_the_state_dict_is_the_graphs_names_in_its_order(name: str) -> None:
    graph = netspec.loads(TEXTS[name]).graph
    state = network(TEXTS[name]).state_dict()
    assert list(state) == [weight.name for weight in graph.weights]
    assert [tuple(tensor.shape) for tensor in state.values()] == [weight.shape for weight in graph.weights]


@pytest.mark.parametrize("sizes", [{}, {"H": 24, "W": 20, "N": 3}, {"H": 32, "W": 28, "N": 1}])
@pytest.mark.parametrize("name", TEXTS)
def test_it_computes_bit_for_bit_what_the_graph_says(name: str, sizes: dict[str, int]) -> None:
    torch.manual_seed(0)
    graph, module = netspec.loads(TEXTS[name]).graph, network(TEXTS[name]).eval()
    inputs = example_inputs(graph, sizes)
    with torch.no_grad():
        for ours, theirs in zip(outputs(module(*inputs)), interpret(graph, module.state_dict(), inputs), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is a tool of development")
def test_a_formatter_and_a_linter_have_nothing_to_say(tmp_path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / f"{name}.py").write_text(source(text), encoding="utf-8")
    for command in (["format", "--diff"], ["check"]):
        done = subprocess.run(["ruff", *command, "-q", "--isolated", str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_it_is_a_function_of_the_graph() -> None:
    assert source(RESIDUAL) == source(RESIDUAL)


def test_blocks_of_one_definition_are_one_class_with_the_specs_own_words() -> None:
    text = source(RESIDUAL)
    assert text.count("class ") == 3
    assert "def __init__(\n        self, in_channels: int, width: int, stride: int = 1, downsample: bool = False\n    ) -> None:" in text
    assert "nn.Conv2d(width, 4 * width, 1, bias=False)" in text
    assert "*[Unit(4 * width, width) for _ in range(depth - 1)]" in text
    assert "self.layer2 = Stage(32, 16, depth=2, stride=2)" in text


def test_a_pipeline_reads_as_a_hand_would_write_it() -> None:
    text = source(RESIDUAL)
    assert "        x = self.relu1(self.bn1(self.conv1(image)))\n        x = self.layer1(x)\n" in text
    assert "        return self.relu2(y + x)\n" in text


def test_rules_for_weights_are_a_loop_over_modules() -> None:
    expected = """\
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu"
                )
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, val=0.5)
        parameters = dict(self.named_parameters())
        nn.init.zeros_(parameters["fc.bias"])
"""
    assert expected in source(RESIDUAL)
    state = network(RESIDUAL).state_dict()
    assert state["bn1.weight"].unique().tolist() == [0.5]
    assert state["fc.bias"].abs().max() == 0
    assert state["layer2.0.conv1.weight"].std().item() == pytest.approx((2 / (16 * 9)) ** 0.5, rel=0.1)


def test_lists_are_loops_and_labels_that_are_no_attributes_stay_labels() -> None:
    text = source(LISTS)
    assert "        for block in self.blocks:\n            x = block(x)\n" in text
    assert 'self.late = nn.ModuleDict({"1": Mix(), "0": Mix()})' in text
    assert "self.deep = nn.Module()\n        self.deep.down = nn.Sequential" in text
    assert 'self._modules["type"] = nn.Linear(8, 3)' in text
    assert 'nn.init.normal_(parameters["position"], std=0.02)' in text


def test_a_number_between_two_words_of_a_label_is_a_module_with_members() -> None:
    net = netspec.loads("""
      net n {
        input x: [N, 4, 8, 8]
        for i in 0..2 { x = x -> (conv(4, 1) -> relu) as "blocks.{i}.inner" }
        output x
      }
    """)
    weights = [f"blocks.{i}.inner.0.{kind}" for i in (0, 1) for kind in ("weight", "bias")]
    assert list(net.torch(seed=0).state_dict()) == weights
    text = write_source(net.graph)
    assert "self.blocks.append(nn.Module())" in text and "self.blocks[1].inner" in text


def test_a_layer_that_some_instances_lack_is_an_option() -> None:
    text = source(OPTIONAL)
    assert text.count("class ") == 2
    assert "        self.gate = nn.Identity()\n        if gate:\n            self.gate = nn.Sequential(" in text


def test_sizes_are_axes_of_what_is_at_hand() -> None:
    text = source(SIZES)
    assert "16" not in text and "18" not in text
    assert "def forward(self, input: Tensor" not in text
    assert ".shape[2]" in text


def test_several_outputs_are_a_named_tuple() -> None:
    text = source(SHARED)
    assert "class SiameseOutputs(NamedTuple):\n    near: Tensor\n    far: Tensor\n" in text
    assert "-> SiameseOutputs:" in text
    assert text.count("self.f = ") == 1 and text.count("self.f(") == 2


def test_a_shared_layer_has_a_forward_for_each_way_in_which_it_is_applied() -> None:
    text = source(VARIANTS)
    assert text.count("self.p = Pick()") == 1 and "self.p(small)" in text and "self.p.forward2(image)" in text
    assert "def forward(self, x: Tensor, image: Tensor) -> Tensor:" in text  # the chain's captured tensor


def test_foreign_words_cannot_end_a_string() -> None:
    text = dedent(
        """
        net words() {
          "Quotes \\\\ and \\"\\"\\" and import os"
          input x: [N, 4]
          output y = x -> linear(2) as "class"
        }
        """
    )
    written = source(text.replace('"Quotes', '"""Quotes').replace('import os"', 'import os"""').replace('\\"\\"\\"', "''"))
    assert 'self._modules["class"]' in written
    assert "\nimport os" not in written


def test_lengths_of_normalized_weights_follow_their_directions() -> None:
    graph = netspec.loads("net w() { input x: [N, 8]; output y = x -> weight_norm(linear(6)) as wn }").graph
    anew = [w.model_copy(update={"init": initializer("normal", std=0.1)}) if w.local.endswith("original1") else w for w in graph.weights]
    changed = graph.model_copy(update={"weights": tuple(anew)})
    module = network_class(execute(write_source(changed), "w"))()
    state = {name.rpartition(".")[2]: tensor for name, tensor in module.state_dict().items()}
    assert state["original1"].std().item() == pytest.approx(0.1, rel=0.5)
    assert torch.allclose(state["original0"], torch.linalg.vector_norm(state["original1"], dim=1, keepdim=True))
