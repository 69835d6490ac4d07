"""The rules by operator name. An operator that is not here makes what follows it unknown, and says so."""

from __future__ import annotations

from netspec.analyses.signal import elementwise_rules, linear_rules, merge_rules, norm_rules, pool_rules, shape_rules
from netspec.analyses.signal.elementwise_rules import added, multiplied, subtracted, with_number
from netspec.analyses.signal.rule import Effect, Place, Rule


def _unknown(place: Place) -> Effect | None:
    """Not worked out: steps that feed themselves, means over shares that the data decides, and numbers that the data picks."""
    return None


#: operators of which nothing is said
UNKNOWN = (
    "rnn", "gru", "lstm", "rnn_cell", "gru_cell", "lstm_cell",
    "scaled_dot_product", "multihead_attention", "cumsum", "gather", "index_select", "where", "logical_and", "logical_or", "logical_not",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
    "unfold", "fold", "einsum", "grid_sample", "sin", "cos", "arange",
    "tan", "atan", "erf", "rsqrt", "reciprocal", "floor", "ceil", "round", "sign", "remainder", "floor_divide",
    "var", "std", "vector_norm", "normalize", "any", "all", "argmin", "tile", "repeat_interleave", "tril", "triu",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(UNKNOWN, _unknown),
    **linear_rules.RULES,
    **norm_rules.RULES,
    **pool_rules.RULES,
    **elementwise_rules.RULES,
    **merge_rules.RULES,
    **shape_rules.RULES,
    "add": with_number(merge_rules.add, added),
    "sub": with_number(merge_rules.sub, subtracted),
    "mul": with_number(merge_rules.mul, multiplied),
}

#: operators whose result has moments of its own, whatever is known of the input
SOURCES = frozenset(("param", "buffer", "constant", "one_hot", "embedding", "argmax"))
