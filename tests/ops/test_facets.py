"""Every operator, every example, every facet, each against an oracle that is not ours."""

from __future__ import annotations

from importlib import import_module, util
from typing import Any

import numpy as np
import pytest
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from netspec import ops
from netspec.op import Accepts, Operator, Reject, Rejects
from netspec.sizes.dim import evaluate
from tests.ops.compare import disagreements
from tests.ops.field import wrong_reach
from tests.ops.harness import Case, Refused, accept, at_full_length, random_data, read_type
from tests.ops.onnx_terms import NEWEST
from tests.ops.torch_terms import Runner, run_torch

OPSETS = (17, 21, NEWEST)


def _written(family: str) -> bool:
    return util.find_spec(f"netspec.ops.{family}") is not None


def _operators() -> list[type[Operator]]:
    return [ops.lookup(name) for family, members in ops.FAMILIES.items() if _written(family) for name in members if _defined(name)]


def _defined(name: str) -> bool:
    try:
        return ops.lookup(name) is not None
    except KeyError:
        return False  # test_registry says so


def _examples(kind: type) -> list[Any]:
    return [
        pytest.param(cls, example, id=f"{cls.NAME}-{example.call}-{'x'.join(example.inputs)}")
        for cls in _operators()
        for example in cls.EXAMPLES
        if isinstance(example, kind)
    ]


def _expect_none(found: list[str], case: Case, facet: str) -> None:
    """Nothing may be wrong, unless the operator itself says that this facet has a gap."""
    gaps = [f"{gap.condition}: {gap.reason}" for gap in case.operator.LIMITATIONS if gap.facet == facet]
    if found and gaps:
        pytest.xfail("; ".join(gaps))
    assert found == []


def _found(case: Case, env: dict[str, int], opset: int) -> list[str]:
    """Where the numbers differ, or why there are none: a lowering may refuse, if the operator lists that."""
    try:
        return disagreements(case, env, opset)
    except Reject as refused:
        return [f"[{refused.code}] {refused}"]


accepted = pytest.mark.parametrize(("cls", "example"), _examples(Accepts))
rejected = pytest.mark.parametrize(("cls", "example"), _examples(Rejects))


@accepted
def test_shape(cls: type[Operator], example: Accepts) -> None:
    """The output has the shape that the example states, and torch's real output has it too, at several sizes."""
    case = accept(example.call, example.inputs)
    assert isinstance(case.operator, cls)
    texts = (example.output,) if isinstance(example.output, str) else example.output
    assert case.outputs == tuple(read_type(t) for t in texts)
    environments = case.environments()
    assert environments, "the typical sizes do not meet the operator's own conditions"
    for env in environments:
        data = random_data(case, env)
        results = run_torch(case.operator, case.site(), data.arrays, data.weights)
        assert [tuple(r.shape) for r in results] == [tuple(evaluate(s, env) for s in o.shape) for o in case.outputs]
        assert [str(r.dtype) for r in results] == [f"torch.{o.dtype}" for o in case.outputs]


@accepted
def test_parameters(cls: type[Operator], example: Accepts) -> None:
    """Names, shapes, dtypes and order are those of the torch module's state dict; what trains is a parameter there."""
    case = accept(example.call, example.inputs)
    runner = Runner(case.operator, case.site())
    if runner.module is None or runner.term.owns:
        assert runner.term.owns or not case.weights
        return
    state = runner.module.state_dict()
    assert [(w.name, w.shape, f"torch.{w.dtype}") for w in case.weights] == [(k, tuple(v.shape), str(v.dtype)) for k, v in state.items()]
    assert {w.name for w in case.weights if w.trainable} == {name for name, _ in runner.module.named_parameters()}


@accepted
def test_macs(cls: type[Operator], example: Accepts) -> None:
    """Half of what torch's counter of floating point operations counts, where it counts."""
    case = accept(example.call, example.inputs)
    env = case.environments(1)[0]
    data = random_data(case, env)
    runner = Runner(case.operator, case.site(), data.weights)
    if runner.module is not None:
        runner.module.eval()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # of the fused kernels it counts those of GPUs
        runner(*at_full_length(case, data))
    if counter.get_total_flops():
        assert evaluate(case.operator.macs(case.inputs, case.outputs), env) == counter.get_total_flops() // 2


@accepted
def test_reach(cls: type[Operator], example: Accepts) -> None:
    """Moving one input index moves exactly the outputs that look at it."""
    case = accept(example.call, example.inputs)
    for env in case.environments(2):
        if sum(np.prod([evaluate(s, env) for s in t.shape], dtype=int) for t in case.inputs) <= 20_000:
            _expect_none(wrong_reach(case, env), case, "reach")


@accepted
@pytest.mark.parametrize("opset", OPSETS)
def test_numbers(cls: type[Operator], example: Accepts, opset: int) -> None:
    """onnxruntime, optimizing and not, gives torch's numbers at several sizes."""
    case = accept(example.call, example.inputs)
    for env in case.environments():
        _expect_none(_found(case, env, opset), case, "onnx")


@rejected
def test_rejects(cls: type[Operator], example: Rejects) -> None:
    """What must be refused is, with the stated code."""
    with pytest.raises(Refused) as refused:
        accept(example.call, example.inputs)
    assert refused.value.code == example.code, str(refused.value)


@pytest.mark.parametrize("family", [f for f in ops.FAMILIES if _written(f)])
def test_registry(family: str) -> None:
    """The table of families says what the files define."""
    found = vars(import_module(f"netspec.ops.{family}")).values()
    defined = [v.NAME for v in found if isinstance(v, type) and issubclass(v, Operator) and "NAME" in vars(v)]
    assert sorted(defined) == sorted(ops.FAMILIES[family])


@pytest.mark.parametrize("cls", _operators(), ids=lambda cls: cls.NAME)
def test_documented(cls: type[Operator]) -> None:
    """Each has a docstring, at least two examples that are accepted, and its aliases in the registry."""
    assert cls.__doc__ and len(cls.__doc__) > 40
    assert sum(isinstance(e, Accepts) for e in cls.EXAMPLES) >= 2
    assert all(ops.ALIASES.get(alias) == cls.NAME for alias in cls.ALIASES)
