"""How weights start: the table of initializers, and what each of them means for a tensor of given shape and fans.

`make` checks what an `init` rule says, `resolve` turns it into a plain distribution. Fans are those of `op.Weight`:
the number of terms that one output sums, and the number of outputs that one input reaches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from netspec.diagnostics.nearest import suggestion
from netspec.initializers.derived import DERIVED
from netspec.initializers.distributions import (
    Constant,
    Dirac,
    Distribution,
    Eye,
    Normal,
    Orthogonal,
    Repeated,
    Sparse,
    TruncatedNormal,
    Uniform,
    Values,
)
from netspec.initializers.rule import REQUIRED, Argument, Rule, Target
from netspec.op import Initializer, Reject

#: The standard deviation of a standard normal cut at two: what its scale is divided by to come out as asked.
TRUNCATION = 0.87962566103423978


def make(name: str, positional: Sequence[Any] = (), keywords: Mapping[str, Any] | None = None) -> Initializer:
    """The initializer that an `init` rule writes, checked. Raises Reject: NS601 for a name, NS331 for an argument."""
    rule = INITIALIZERS.get(name)
    if rule is None:
        raise Reject("NS601", f"there is no initializer {name!r}", help=_nearest(name, INITIALIZERS))
    known = {argument.name: argument for argument in rule.arguments}
    if len(positional) > len(known):
        raise Reject("NS331", f"{name} takes {len(known)} arguments, {len(positional)} were given")
    given = dict(zip(known, positional))
    for key, value in (keywords or {}).items():
        if key not in known:
            raise Reject("NS331", f"{name} has no argument {key!r}", argument=key, help=_nearest(key, known))
        if key in given:
            raise Reject("NS331", f"{name} was given {key!r} twice", argument=key)
        given[key] = value
    for key, value in given.items():
        if expected := known[key].check(value):
            raise Reject("NS331", f"{key} must be {expected}", argument=key)
        if known[key].kind == "initializer" and isinstance(value, str):
            given[key] = make(value)
        if isinstance(value, list):
            given[key] = tuple(value)
    _require(rule, given)
    return Initializer(rule.name, tuple(given.items()))


def resolve(init: Initializer, shape: Sequence[int], fan_in: float = 0, fan_out: float = 0) -> Distribution:
    """The distribution of a tensor of `shape`. Raises Reject NS332 where the initializer does not fit such a tensor."""
    rule = _KNOWN.get(init.name)
    if rule is None:
        raise Reject("NS601", f"there is no initializer {init.name!r}", help=_nearest(init.name, INITIALIZERS))
    values = {argument.name: argument.default for argument in rule.arguments}
    values.update(init.arguments)
    _require(rule, {name: value for name, value in values.items() if value is not REQUIRED})
    return rule.draw(Target(tuple(shape), float(fan_in), float(fan_out)), **values)


def _require(rule: Rule, given: Mapping[str, Any]) -> None:
    for argument in rule.arguments:
        if argument.default is REQUIRED and argument.name not in given:
            raise Reject("NS331", f"{rule.name} needs {argument.name}: {argument.doc}", argument=argument.name)


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    return next(iter(suggestion(name, known)), f"known are {', '.join(known)}")


# ------------------------------------------------------------------------------------------------ plain distributions
def _torch_default(target: Target, fan: float) -> Distribution:
    """What torch does where nobody says: uniform in ±1/sqrt(fan), `fan` by torch's own count of the layer's inputs
    (LeCun et al., "Efficient BackProp", 1998, as `torch.nn.Linear.reset_parameters` has it). Zeros where fan is 0."""
    return Uniform(-1 / math.sqrt(fan), 1 / math.sqrt(fan)) if fan > 0 else Constant(0.0)


def _zeros(target: Target) -> Distribution:
    """All zeros."""
    return Constant(0.0)


def _ones(target: Target) -> Distribution:
    """All ones."""
    return Constant(1.0)


def _constant(target: Target, value: float | tuple[float, ...]) -> Distribution:
    """All the same value, or those of a list, one for each element of a tensor of one axis."""
    if not isinstance(value, tuple):
        return Constant(float(value))
    if target.shape != (len(value),):
        shape = ", ".join(map(str, target.shape))
        raise Reject("NS332", f"a list of {len(value)} constants is for a tensor of shape [{len(value)}]; this one has [{shape}]")
    return Values(tuple(map(float, value)))


def _uniform(target: Target, low: float, high: float, bound: float | None) -> Distribution:
    """Uniform in [low, high), or in ±bound."""
    if bound is not None:
        low, high = -bound, bound
    if not low <= high:
        raise Reject("NS331", f"low must not be above high: {low:g} and {high:g}", argument="high")
    return Uniform(float(low), float(high))


def _normal(target: Target, mean: float, std: float, zero_row: int | None) -> Distribution:
    """Normal. In an embedding with a padding index, that row is zero."""
    return Normal(float(mean), _positive(std), zero_row)


def _truncated_normal(target: Target, mean: float, std: float, a: float | None, b: float | None) -> Distribution:
    """Normal, drawn again outside the bounds. Without bounds: cut at two standard deviations and widened by 1/0.8796, so
    that `std` is that of what comes out. With `a` or `b`: `std` and the bounds mean what `torch.nn.init.trunc_normal_` says."""
    if a is None and b is None:
        return _truncated(_positive(std), mean)
    low, high = (-2.0 if a is None else a), (2.0 if b is None else b)
    if not low < high:
        raise Reject("NS331", f"a must be below b: {low:g} and {high:g}", argument="b")
    return TruncatedNormal(float(mean), _positive(std), float(low), float(high)) if std else Constant(float(mean))


def _scaled(target: Target, factor: float, mean: float, truncated: bool) -> Distribution:
    """Normal with the standard deviation that is written for each tensor: `scaled(1 / sqrt(n))`. In it `n` and `fan_in` are
    the number of terms that one output sums, `fan_out` the number of outputs that one input reaches."""
    return _spread(_positive(factor), truncated, mean)


# ------------------------------------------------------------------------------------------- scaled by the fans
def _he_normal(target: Target, mode: str, nonlinearity: str, a: float, gain: float | None, truncated: bool, compat: str) -> Distribution:
    """Normal with std = gain / sqrt(fan): keeps the variance through rectifiers. He, Zhang, Ren and Sun, "Delving Deep into
    Rectifiers", ICCV 2015, arXiv:1502.01852, equations 10, 14 and 15."""
    return _spread(_gain(gain, nonlinearity, a) / math.sqrt(target.fan(mode, compat)), truncated)


def _he_uniform(target: Target, mode: str, nonlinearity: str, a: float, gain: float | None, compat: str) -> Distribution:
    """Uniform in ±gain * sqrt(3 / fan), the same variance as `he_normal`. He et al., ICCV 2015, arXiv:1502.01852."""
    return _symmetric(_gain(gain, nonlinearity, a) / math.sqrt(target.fan(mode, compat)))


def _xavier_normal(target: Target, gain: float | str, truncated: bool, compat: str) -> Distribution:
    """Normal with std = gain * sqrt(2 / (fan_in + fan_out)). Glorot and Bengio, "Understanding the difficulty of training deep
    feedforward neural networks", AISTATS 2010, equation 12."""
    return _spread(_named_gain(gain) / math.sqrt(target.fan("fan_avg", compat)), truncated)


def _xavier_uniform(target: Target, gain: float | str, compat: str) -> Distribution:
    """Uniform in ±gain * sqrt(6 / (fan_in + fan_out)). Glorot and Bengio, AISTATS 2010, equation 16."""
    return _symmetric(_named_gain(gain) / math.sqrt(target.fan("fan_avg", compat)))


def _lecun_normal(target: Target, truncated: bool, compat: str) -> Distribution:
    """Normal with std = 1 / sqrt(fan_in). LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, section 4.6; what
    self-normalizing networks ask for (Klambauer et al. 2017, arXiv:1706.02515)."""
    return _spread(1 / math.sqrt(target.fan("fan_in", compat)), truncated)


def _lecun_uniform(target: Target, compat: str) -> Distribution:
    """Uniform in ±sqrt(3 / fan_in), the same variance as `lecun_normal`. LeCun et al., "Efficient BackProp", 1998."""
    return _symmetric(1 / math.sqrt(target.fan("fan_in", compat)))


def _random_walk(target: Target, nonlinearity: str, compat: str) -> Distribution:
    """Normal with std = gain / sqrt(N), N = fan_in, gain = exp(1 / (2 N)) or, for relu, sqrt(2) exp(1.2 / (max(N, 6) - 2.4)): the
    logarithm of the signal's norm, a random walk from layer to layer, does not drift downwards in narrow ones. Sussillo and
    Abbott, "Random Walk Initialization for Training Very Deep Feedforward Networks", 2014, arXiv:1412.6558."""
    fan = target.fan("fan_in", compat)
    gain = math.exp(1 / (2 * fan)) if nonlinearity == "linear" else math.sqrt(2) * math.exp(1.2 / (max(fan, 6) - 2.4))
    return Normal(0.0, gain / math.sqrt(fan))


def _fixup(target: Target, blocks: int, layers: int, mode: str) -> Distribution:
    """`he_normal` times blocks ^ (-1 / (2 layers - 2)): for the weights in so many residual branches without norms, of so many
    layers each, all but the last of which starts with it, and the last with zeros. Zhang, Dauphin and Ma, "Fixup Initialization:
    Residual Learning Without Normalization", ICLR 2019, arXiv:1901.09321, section 3."""
    if blocks < 1:
        raise Reject("NS331", "blocks must be 1 or more", argument="blocks")
    if layers < 2:
        raise Reject("NS331", "layers must be 2 or more", argument="layers", help="a branch of one layer starts with zeros")
    return Normal(0.0, blocks ** (-1 / (2 * layers - 2)) * math.sqrt(2 / target.fan(mode, "true")))


# ----------------------------------------------------------------------------------------------------- structured
def _orthogonal(target: Target, gain: float | str) -> Distribution:
    """Orthonormal rows or columns, times gain. Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", 2013, arXiv:1312.6120."""
    if len(target.shape) < 2:
        raise Reject("NS332", f"orthogonal takes two axes or more; this tensor has {len(target.shape)}")
    return Orthogonal(_named_gain(gain))


def _sparse(target: Target, sparsity: float | None, std: float, nonzero: int | None) -> Distribution:
    """Normals, most of them zero: a share `sparsity` of each column as in `torch.nn.init.sparse_`, or all but `nonzero` in
    each row. Martens, "Deep learning via Hessian-free optimization", ICML 2010, section 5."""
    if len(target.shape) != 2:
        raise Reject("NS332", f"sparse takes a matrix; this tensor has {len(target.shape)} axes")
    if (sparsity is None) == (nonzero is None):
        raise Reject("NS331", "sparse takes either sparsity or nonzero", argument="sparsity")
    if nonzero is not None:
        if nonzero < 0:
            raise Reject("NS331", "nonzero must not be negative", argument="nonzero")
        return Sparse(_positive(std), kept_per_row=min(nonzero, target.shape[1]))
    if not 0 <= sparsity <= 1:  # type: ignore[operator]
        raise Reject("NS331", f"sparsity must lie in [0, 1], not {sparsity:g}", argument="sparsity")
    return Sparse(_positive(std), zeros_per_column=math.ceil(sparsity * target.shape[0]))  # type: ignore[operator]


def _dirac(target: Target, groups: int) -> Distribution:
    """The kernel that hands its input through (`torch.nn.init.dirac_`). Zagoruyko and Komodakis, "DiracNets", 2017,
    arXiv:1706.00388."""
    if not 3 <= len(target.shape) <= 5:
        raise Reject("NS332", f"dirac takes the kernel of a convolution; this tensor has {len(target.shape)} axes")
    if groups < 1 or target.shape[0] % groups:
        raise Reject("NS331", f"groups must divide the {target.shape[0]} output channels", argument="groups")
    return Dirac(groups)


def _eye(target: Target) -> Distribution:
    """The identity matrix. Le, Jaitly and Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units",
    2015, arXiv:1504.00941."""
    if len(target.shape) != 2:
        raise Reject("NS332", f"eye takes a matrix; this tensor has {len(target.shape)} axes")
    return Eye()


def _icnr(target: Target, factor: int, init: Initializer) -> Distribution:
    """A smaller kernel, drawn from `init`, each of its output channels factor ^ (spatial axes) times in a row: behind
    `pixel_shuffle(factor)` the layer starts as the smaller one and an enlargement by nearest neighbours, if its bias is zero or
    alike. Fans are those of the whole layer, which gradients meet. Aitken et al., "Checkerboard artifact free sub-pixel
    convolution", 2017, arXiv:1707.02937, section 3."""
    axes = len(target.shape) - 2
    if not 1 <= axes <= 3:
        raise Reject("NS332", f"icnr takes the kernel of a convolution; this tensor has {len(target.shape)} axes")
    if factor < 1:
        raise Reject("NS331", "factor must be 1 or more", argument="factor")
    if init.name == "icnr":
        raise Reject("NS331", "init must be what one kernel is drawn from, not icnr again", argument="init")
    copies = factor**axes
    # a square must not be of two groups, which see different inputs; fan_out counts the channels of one
    channels = round(target.fan_out / math.prod(target.shape[2:])) or target.shape[0]
    if target.shape[0] % copies or channels % copies:
        of_each = "" if channels == target.shape[0] else " of a group"
        raise Reject("NS332", f"icnr({factor}) makes {copies} channels alike, which does not divide the {channels} channels{of_each}")
    law = resolve(init, (target.shape[0] // copies, *target.shape[1:]), target.fan_in, target.fan_out)
    return law if isinstance(law, Constant) else Repeated(law, copies)


# ------------------------------------------------------------------------------------------------------------ shared
#: The gains of `torch.nn.init.calculate_gain`.
GAINS: dict[str, float] = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2),
    "selu": 0.75,
}


def _gain(gain: float | None, nonlinearity: str, a: float) -> float:
    """The factor for what follows the layer; `a` is the negative slope of a leaky rectifier: sqrt(2 / (1 + a^2))."""
    if gain is not None:
        return _positive(gain)
    return math.sqrt(2 / (1 + a * a)) if nonlinearity == "leaky_relu" or a else GAINS[nonlinearity]


def _named_gain(gain: float | str) -> float:
    return GAINS[gain] if isinstance(gain, str) else _positive(gain)


def _positive(std: float) -> float:
    if std < 0:
        raise Reject("NS331", f"a standard deviation or gain must not be negative: {std:g}")
    return float(std)


def _symmetric(std: float) -> Uniform:
    """Uniform around 0 with that standard deviation: a uniform in ±b has b / sqrt(3)."""
    return Uniform(-std * math.sqrt(3), std * math.sqrt(3))


def _spread(std: float, truncated: bool, mean: float = 0.0) -> Distribution:
    return _truncated(std, mean) if truncated else Normal(float(mean), std)


def _truncated(std: float, mean: float) -> Distribution:
    """A normal cut at two of its deviations whose own standard deviation is `std`."""
    if not std:
        return Constant(float(mean))
    wide = std / TRUNCATION
    return TruncatedNormal(float(mean), wide, mean - 2 * wide, mean + 2 * wide)


_MODE = Argument("mode", "word", "fan_in", "fan_in keeps the variance forwards, fan_out backwards", ("fan_in", "fan_out", "fan_avg"))
_NONLINEARITY = Argument("nonlinearity", "word", "relu", "what follows the layer", tuple(GAINS))
_SLOPE = Argument("a", "number", 0.0, "the negative slope of the rectifier that follows")
_FREE_GAIN = Argument("gain", "number", None, "the factor itself, in place of nonlinearity and a")
_GAIN = Argument("gain", "number", 1.0, "a factor, or the name of what follows the layer", tuple(GAINS))
_TRUNCATED = Argument("truncated", "boolean", False, "cut at two standard deviations, and widen to keep the variance")
_COMPAT = Argument("compat", "word", "true", "torch: count fans as torch.nn.init does, ignoring groups and strides", ("true", "torch"))
_MEAN = Argument("mean", "number", 0.0, "the mean")
#: Must be given, so that `normal(0.01)`, where torch would take 0.01 as the mean, is an error and not a surprise.
_STD = Argument("std", "number", REQUIRED, "the standard deviation")

_RULES = (
    Rule("torch_default", (Argument("fan", "number", REQUIRED, "torch's count of the layer's inputs"),), _torch_default),
    Rule("zeros", (), _zeros),
    Rule("ones", (), _ones),
    Rule("constant", (Argument("value", "number or list of them", REQUIRED, "the value, or one for each element"),), _constant),
    Rule(
        "uniform",
        (
            Argument("low", "number", 0.0, "the lower bound"),
            Argument("high", "number", 1.0, "the upper bound"),
            Argument("bound", "number", None, "both: [-bound, bound)"),
        ),
        _uniform,
    ),
    Rule("normal", (_MEAN, _STD, Argument("zero_row", "integer", None, "a row that is zero: an embedding's padding")), _normal),
    Rule(
        "truncated_normal",
        (_MEAN, _STD, Argument("a", "number", None, "the lower bound"), Argument("b", "number", None, "the upper bound")),
        _truncated_normal,
    ),
    Rule("scaled", (Argument("factor", "number", REQUIRED, "the standard deviation, in n, fan_in, fan_out"), _MEAN, _TRUNCATED), _scaled),
    Rule("he_normal", (_MODE, _NONLINEARITY, _SLOPE, _FREE_GAIN, _TRUNCATED, _COMPAT), _he_normal, ("kaiming_normal",)),
    Rule("he_uniform", (_MODE, _NONLINEARITY, _SLOPE, _FREE_GAIN, _COMPAT), _he_uniform, ("kaiming_uniform",)),
    Rule("xavier_normal", (_GAIN, _TRUNCATED, _COMPAT), _xavier_normal, ("glorot_normal",)),
    Rule("xavier_uniform", (_GAIN, _COMPAT), _xavier_uniform, ("glorot_uniform",)),
    Rule("lecun_normal", (_TRUNCATED, _COMPAT), _lecun_normal),
    Rule("lecun_uniform", (_COMPAT,), _lecun_uniform),
    Rule(
        "random_walk",
        (Argument("nonlinearity", "word", "relu", "what follows the layer", ("linear", "relu")), _COMPAT),
        _random_walk,
    ),
    Rule(
        "fixup",
        (
            Argument("blocks", "integer", REQUIRED, "how many residual branches the network has"),
            Argument("layers", "integer", 2, "how many layers with weights a branch has"),
            _MODE,
        ),
        _fixup,
    ),
    Rule("orthogonal", (_GAIN,), _orthogonal),
    Rule(
        "sparse",
        (
            Argument("sparsity", "number", None, "the share of each column that is zero"),
            Argument("std", "number", 0.01, "the standard deviation of the rest"),
            Argument("nonzero", "integer", None, "how many of each row are not zero"),
        ),
        _sparse,
    ),
    Rule("dirac", (Argument("groups", "integer", 1, "the groups of the convolution"),), _dirac),
    Rule("eye", (), _eye, ("identity",)),
    Rule(
        "icnr",
        (
            Argument("factor", "integer", 2, "the factor of the pixel_shuffle that follows"),
            Argument("init", "initializer", Initializer("he_normal"), "what one kernel is drawn from"),
        ),
        _icnr,
        layers=("conv",),
    ),
)

#: Every initializer of the language by name and alias.
INITIALIZERS: dict[str, Rule] = {name: rule for rule in _RULES for name in (rule.name, *rule.aliases)}
_KNOWN = {**INITIALIZERS, **{rule.name: rule for rule in DERIVED}}
