"""Windows that slide over a map, at the typical sizes: what they read of it, and what they leave."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Iterator

from netspec.analyses.lint.kinds import inner
from netspec.graph import Node
from netspec.ops._padding import windows
from netspec.ops._window import Window
from netspec.record import record

if TYPE_CHECKING:
    from netspec.analyses.lint.facts import Facts

#: operators with a window along each spatial axis
SLIDING = frozenset({"conv", "local_conv", "max_pool", "avg_pool", "lp_pool"})
#: families whose operators leave every position where it is
IN_PLACE = frozenset({"norm", "activation", "regularizer"})


@record
class Slide:
    """One spatial axis of a convolution or pool: its window, over `n` positions, at `m` places. Padding is in numbers.

    Place o of the window has its taps at the positions `o * stride - before + dilation * j`, of which those below 0 and from
    n on are padding.
    """

    axis: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    n: int
    m: int

    @property
    def extent(self) -> int:
        """The length of the dilated kernel, from its first tap to its last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def step(self) -> int:
        """The stride; 1 where there is only one place."""
        return self.stride if self.m > 1 else 1

    @property
    def residues(self) -> frozenset[int]:
        """Which positions are read, modulo the step: all of 0 … step - 1, unless some are passed over for ever."""
        return frozenset((self.dilation * j - self.before) % self.step for j in range(min(self.kernel, self.step)))

    @property
    def end(self) -> int:
        """The last position on which a window ends; from n on it is in the padding."""
        return (self.m - 1) * self.stride - self.before + self.extent - 1

    @property
    def dropped(self) -> int:
        """How many positions at the end are read by no window, though one more step would read them."""
        if self.stride == 1:
            return 0
        last = max((p for p in self._taps(self.m - 1) if 0 <= p < self.n), default=-1)
        more = (self.m - 1 + i for i in range(1, -(-self.extent // self.stride) + 1))
        return len({p for o in more for p in self._taps(o) if last < p < self.n})

    @property
    def idle_taps(self) -> int:
        """How many of the taps lie in the padding at every place."""
        return sum(not self._meets(self.dilation * j - self.before) for j in range(self.kernel))

    @property
    def blind(self) -> int:
        """How many places of the window see nothing but padding before the first position, or behind the last."""
        first = max(0, -(-(self.before - self.extent + 1) // self.stride))
        last = max(0, self.m - max(0, -(-(self.n + self.before) // self.stride)))
        return min(self.m, first + last)

    def _taps(self, place: int) -> range:
        first = place * self.stride - self.before
        return range(first, first + self.extent, self.dilation)

    def _meets(self, offset: int) -> bool:
        """Whether a tap at `o * stride + offset` is on the map for some place o."""
        place = max(0, -(offset // self.stride))
        return place < self.m and place * self.stride + offset < self.n


@lru_cache(maxsize=4096)
def _cached(padding: Any, kernel: Any, stride: Any, dilation: Any, sizes: tuple[int, ...], lengths: tuple[int, ...]) -> tuple[Slide, ...]:
    def axis(number: int, w: Window, n: int, m: int) -> Slide:
        assert isinstance(w.before, int) and isinstance(w.after, int)
        return Slide(number, w.kernel, w.stride, w.dilation, w.before, w.after, n, m)

    found = windows(padding, kernel, stride, dilation, sizes)
    return tuple(axis(a, *each) for a, each in enumerate(zip(found, sizes, lengths), start=2))


def slides_of(net: Facts, node: Node) -> tuple[Slide, ...]:
    """The windows of a node, one a spatial axis; none of an operator that has no window."""
    op = inner(node)
    if op.NAME not in SLIDING:
        return ()
    sizes, lengths = net.shape(node.inputs[0])[2:], net.shape(node.outputs[0])[2:]
    return _cached(getattr(op, "padding", 0), op.kernel, op.stride or op.kernel, getattr(op, "dilation", 1), sizes, lengths)


def other_readers(net: Facts, node: Node) -> Iterator[Node | None]:
    """Who else reads the map that a node reads, also before operators that leave every position in its place; None for an
    output of the network."""
    value, taker = node.inputs[0], node
    while True:
        if value in net.outputs:
            yield None
        yield from (other for other in net.consumers[value] if other is not taker)
        maker = net.producer.get(value)
        if maker is None or maker.op.FAMILY not in IN_PLACE or len(maker.inputs) != 1:
            return
        value, taker = maker.inputs[0], maker


def axis_name(net: Facts, value: int, axis: int) -> str:
    """What to call an axis of a map: `height`, `width`, `depth`, or `length`."""
    rank = len(net.graph.values[value].shape)
    return ("depth", "height", "width")[axis - rank] if rank > 3 else "length"


def along(net: Facts, node: Node, axes: list[int]) -> str:
    """` along the height`, where not all axes are meant; else nothing."""
    rank = len(net.graph.values[node.inputs[0]].shape)
    if len(axes) == rank - 2:
        return ""
    return " along the " + " and ".join(axis_name(net, node.inputs[0], a) for a in axes)
