"""The registry of operators: which name lives in which family file. Families are imported when one of theirs is used.

`netspec check` of a network of eight operators should not build the models of ninety; so this table is written down, and
a test holds it against what the files define.
"""

from functools import lru_cache
from importlib import import_module
from typing import Any

from netspec.op import Operator

FAMILIES: dict[str, tuple[str, ...]] = {
    "convolution": ("conv", "conv_transpose"),
    "local_convolution": ("local_conv",),
    "pooling": ("max_pool", "avg_pool", "lp_pool"),
    "adaptive_pooling": ("adaptive_avg_pool", "adaptive_max_pool", "global_avg_pool", "global_max_pool"),
    "linear": ("linear", "embedding", "matmul"),
    "normalization": ("batch_norm", "instance_norm", "group_norm"),
    "layer_normalization": ("layer_norm", "rms_norm", "local_response_norm"),
    "reparametrization": ("weight_norm", "spectral_norm"),
    "rectifier": ("relu", "relu6", "leaky_relu", "prelu", "threshold", "maxout", "hard_tanh", "hard_swish"),
    "smooth_rectifier": ("elu", "celu", "selu", "softplus", "gelu", "silu", "mish"),
    "squashing": ("sigmoid", "hard_sigmoid", "tanh", "softsign", "softmax", "log_softmax", "log_sigmoid", "glu"),
    "regularization": ("dropout", "channel_dropout", "alpha_dropout", "drop_path"),
    "resampling": ("resize", "upsample", "pixel_shuffle", "pixel_unshuffle"),
    "border": ("pad", "crop"),
    "reshaping": ("flatten", "reshape", "permute", "squeeze", "unsqueeze", "expand", "cast"),
    "splitting": ("split", "chunk", "slice", "select"),
    "joining": ("concat", "stack"),
    "recurrent": ("rnn", "gru", "lstm"),
    "recurrent_cell": ("rnn_cell", "gru_cell", "lstm_cell"),
    "arithmetic": ("add", "sub", "mul", "div", "pow", "neg", "maximum", "minimum", "clamp", "abs", "exp", "log", "sqrt",
                   "sin", "cos"),
    "elementwise": ("erf", "rsqrt", "reciprocal", "tan", "atan", "floor", "ceil", "round", "sign", "remainder", "floor_divide"),
    "reduction": ("mean", "sum", "max", "min", "prod", "logsumexp", "argmax", "argmin"),
    "statistics": ("var", "std", "vector_norm", "normalize", "any", "all"),
    "repetition": ("flip", "tile", "repeat_interleave", "tril", "triu"),
    "comparison": ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
                   "logical_and", "logical_or", "logical_not", "where"),
    "indexing": ("roll", "cumsum", "gather", "index_select"),
    "patches": ("unfold", "fold"),
    "contraction": ("einsum",),
    "sampling": ("grid_sample",),
    "attention": ("scaled_dot_product",),
    "multihead": ("multihead_attention",),
    "positions": ("arange",),
    "source": ("param", "buffer", "constant", "one_hot", "identity"),
}  # fmt: skip

#: short names, for the few that everybody shortens
ALIASES: dict[str, str] = {"bn": "batch_norm", "ln": "layer_norm", "gn": "group_norm", "fc": "linear", "lrn": "local_response_norm"}

#: operators that no call names: the language makes them of what it is given (`scan(block)`)
MADE: dict[str, str] = {"scan": "scan"}

_HOME: dict[str, str] = {name: family for family, names in FAMILIES.items() for name in names}


def names() -> tuple[str, ...]:
    """Every operator's full name, by family."""
    return tuple(_HOME)


def known(name: str) -> bool:
    """Whether `name` is an operator or an alias of one."""
    return name in _HOME or name in ALIASES


@lru_cache(maxsize=None)
def lookup(name: str) -> type[Operator]:
    """The operator of that name or alias; imports its family. Raises KeyError for an unknown name."""
    full = ALIASES.get(name, name)
    family = import_module(f"netspec.ops.{_HOME.get(full) or MADE[full]}")
    for value in vars(family).values():
        if isinstance(value, type) and issubclass(value, Operator) and vars(value).get("NAME") == full:
            return value
    raise KeyError(name)


def restore(name: str, arguments: dict[str, Any]) -> Operator:
    """An operator from its JSON form, validated. JSON has no tuples: strictness is relaxed where it must be."""
    import json

    return lookup(name).model_validate_json(json.dumps(arguments))
