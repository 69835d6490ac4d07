"""What torch calls the positional arguments of its classes and functions: the names that lifted constants get."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any

from netspec.terms import Support

#: By the name without its rank: `nn.Conv2d` is `Conv`.
_POSITIONAL: dict[str, tuple[str, ...]] = {
    "Conv": ("in_channels", "out_channels", "kernel_size", "stride", "padding"),
    "ConvTranspose": ("in_channels", "out_channels", "kernel_size", "stride", "padding"),
    "MaxPool": ("kernel_size", "stride", "padding"),
    "AvgPool": ("kernel_size", "stride", "padding"),
    "LPPool": ("norm_type", "kernel_size", "stride"),
    "AdaptiveAvgPool": ("output_size",),
    "AdaptiveMaxPool": ("output_size",),
    "BatchNorm": ("num_features",),
    "InstanceNorm": ("num_features",),
    "GroupNorm": ("num_groups", "num_channels"),
    "LayerNorm": ("normalized_shape",),
    "RMSNorm": ("normalized_shape",),
    "Linear": ("in_features", "out_features"),
    "Embedding": ("num_embeddings", "embedding_dim"),
    "PReLU": ("num_parameters",),
    "MultiheadAttention": ("embed_dim", "num_heads"),
    "Dropout": ("p",),
    "PixelShuffle": ("upscale_factor",),
    "PixelUnshuffle": ("downscale_factor",),
    "LeakyReLU": ("negative_slope",),
    "pad": ("input", "pad"),
    "interpolate": ("input", "size"),
    "Flatten": ("start_dim", "end_dim"),
    "LSTM": ("input_size", "hidden_size", "num_layers"),
    "GRU": ("input_size", "hidden_size", "num_layers"),
    "RNN": ("input_size", "hidden_size", "num_layers"),
}

#: Names of arguments that count channels or features.
CHANNELS = frozenset(
    "in_channels out_channels num_features num_channels normalized_shape in_features out_features embedding_dim embed_dim "
    "num_parameters input_size hidden_size groups".split()
)


def positional(function: Any, count: int) -> tuple[str, ...]:
    """Names for the first `count` positional arguments; `size` where nothing is known."""
    if isinstance(function, Support):
        names = _written(function)
    elif isinstance(function, str):
        names = _POSITIONAL.get(function.rpartition(".")[2].removesuffix("d").rstrip("123"), ())
    else:
        names = ()
    return (names + ("size",) * count)[:count]


@lru_cache(maxsize=None)
def _written(support: Support) -> tuple[str, ...]:
    """The argument names of a class's `__init__`, or of a function."""
    for node in ast.walk(ast.parse(support.source)):
        wanted = isinstance(node, ast.FunctionDef) and node.name in ("__init__", support.name)
        if wanted and isinstance(node, ast.FunctionDef):
            return tuple(a.arg for a in node.args.args if a.arg != "self")
    return ()
