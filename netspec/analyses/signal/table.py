"""The rules by operator name. An operator that is not here makes what follows it unknown, and says so."""

from __future__ import annotations

from netspec.analyses.signal import elementwise_rules, linear_rules, merge_rules, norm_rules, pool_rules, shape_rules
from netspec.analyses.signal.elementwise_rules import added, multiplied, subtracted, with_number
from netspec.analyses.signal.rule import Rule

RULES: dict[str, Rule] = {
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
SOURCES = frozenset(("param", "constant", "one_hot", "embedding", "argmax"))
