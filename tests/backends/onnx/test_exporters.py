"""Against torch's two exporters, of the same network and weights: no more nodes, no larger file, and the same sizes left open.

The file is no larger than that of torch's exporter as it stands. TorchScript's, which it replaced, writes no types of values, no
places in the source and nothing of where a model comes from: ours is compared with its without these.
"""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest

import netspec

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from tests.backends.onnx.exporters import bare, nodes, ours, theirs  # noqa: E402

REPRESENTATIVE = """
    zoo.resnet:resnet18 zoo.densenet:densenet121 zoo.mobilenet_v3:mobilenet_v3_small zoo.unet:unet_valid zoo.unet:unet
    zoo.googlenet:googlenet zoo.language:char_rnn zoo.crnn:crnn zoo.seq2seq:seq2seq_lstm zoo.transformer:transformer_encoder
    zoo.shufflenet:shufflenet_v2_x0_5 zoo.efficientnet:efficientnet_b0 zoo.tcn:tcn_copy zoo.swin:swin_t zoo.vit:vit_b_32
    zoo.gpt2:gpt2 zoo.convnext:convnext_tiny zoo.deepspeech:deepspeech2_online zoo.dcgan:generator zoo.vae:vae
    zoo.selu:snn_cnn_mnist zoo.espcn:espcn_x2
""".split()


def compare(spec: str, folder: Path, dynamo: bool) -> None:
    """Hold our file against an exporter's."""
    net = netspec.load(spec)
    data = ours(net)
    mine, other = onnx.load_from_string(data), theirs(net, folder / "theirs.onnx", dynamo)
    assert nodes(mine.graph) <= nodes(onnx.load_from_string(other).graph)
    assert (len(data) if dynamo else bare(mine)) <= len(other)
    for port in net.graph.inputs:
        (found,) = [value for value in mine.graph.input if value.name == port.name]
        shape = net.graph.values[port.value].shape
        assert [bool(dim.dim_param) for dim in found.type.tensor_type.shape.dim] == [not isinstance(size, int) for size in shape]


@pytest.mark.parametrize("spec", ["zoo.lenet:lenet5", "zoo.language:char_rnn"])
def test_no_more_than_torchscripts_exporter(spec: str, tmp_path: Path) -> None:
    compare(spec, tmp_path, dynamo=False)


@pytest.mark.slow
def test_no_more_than_torchs_exporter(tmp_path: Path) -> None:
    compare("zoo.espcn:espcn_x2", tmp_path, dynamo=True)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("NETSPEC_LONG"), reason="half an hour of exporting: set NETSPEC_LONG=1")
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "script"])
@pytest.mark.parametrize("spec", REPRESENTATIVE)
def test_no_more_than_either_exporter(spec: str, dynamo: bool, tmp_path: Path) -> None:
    compare(spec, tmp_path, dynamo)
