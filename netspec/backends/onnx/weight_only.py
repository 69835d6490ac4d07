"""The weights of linear layers in 8 or 4 bits, in blocks with a scale each: `MatMulNBits` of onnxruntime, computed in float32.

The layout is that of https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits: the
weight as `[N, K]`, every row cut into blocks of `BLOCK_SIZE` along K, a block stored as `q` with a scale and a zero point, and read as
`(q - zero) * scale`; two values of 4 bits lie in a byte, the first in its lower half. A block's scale and zero point are the best, by
squared error, of a few candidates: the whole range of its values, that range drawn in a little, and one that is even around zero.

Nothing is held: a stretch of rows is read, packed and written before the next one, by several threads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from functools import partial
from math import ceil, prod
from threading import Lock

import numpy as np

from netspec.backends.onnx.model import Attributes, OnnxModel, Operation
from netspec.backends.weights import Piece, Weights
from netspec.graph import Tensor, fresh
from netspec.record import record

#: Values that share a scale: the smallest that all of onnxruntime's kernels take, and the most exact.
BLOCK_SIZE = 32
#: Elements of a weight that are packed at once.
STRETCH = 1 << 20
#: How much of the range of a block's values is kept, in turn; outliers are cut off where the rest gains more.
_KEPT = {8: (1.0,), 4: (1.0, 0.92, 0.84)}

Packed = tuple[np.ndarray, np.ndarray, np.ndarray]


def store_in_blocks(model: OnnxModel, weights: Weights, bits: int) -> tuple[OnnxModel, Weights]:
    """The model with the weights of its linear layers in `bits` (8 or 4), and the weights to write it with.

    A layer is one where its weight is stored, float32, at least `BLOCK_SIZE` inputs wide and read by linear layers alone: an embedding
    that shares its table with the last layer stays as it is, and so does everything else. Biases are added as they were.
    """
    layers = _layers(model)
    if not layers:
        return model, weights
    taken = {name for node in model.nodes for name in (*node.reads, *node.outputs)} | {tensor.name for tensor in model.weights}
    stored = {layer.weight.name: layer for layer in layers.values()}
    parts = {name: _parts(layer, bits, taken) for name, layer in stored.items()}
    nodes: list[Operation] = []
    for number, node in enumerate(model.nodes):
        layer = layers.get(number)
        nodes += [node] if layer is None else _product(node, parts[layer.weight.name], layer, bits, taken)
    used = {name for node in nodes for name in node.reads} | {name for name, _ in model.outputs}
    nodes = [node for node in nodes if node.op_type != "Transpose" or any(name in used for name in node.outputs)]
    kept = [part for tensor in model.weights for part in (parts[tensor.name] if tensor.name in parts else (tensor,))]
    made = {name for node in nodes for name in node.outputs}
    values = [value for value in model.values if value[0] in made]
    sources: dict[str, _Source] = {}
    for name, three in parts.items():
        sources.update({part.name: (stored[name], which) for which, part in enumerate(three)})
    domains = model.domains | {"com.microsoft"}
    return replace(model, nodes=nodes, weights=kept, domains=domains, values=values), _InBlocks(weights, sources, bits)


@record
class _Layer:
    """A linear layer's weight: `rows_first` where it is stored as `[N, K]`, outputs first."""

    weight: Tensor
    rows_first: bool

    @property
    def shape(self) -> tuple[int, int]:
        """N and K."""
        n, k = self.weight.shape if self.rows_first else self.weight.shape[::-1]
        return n, k


#: Which layer a stored tensor is of: its values (0), scales (1) or zero points (2).
_Source = tuple[_Layer, int]


def _layers(model: OnnxModel) -> dict[int, _Layer]:
    """The linear layers, by the place of their product among the nodes."""
    tensors = {tensor.name: tensor for tensor in model.weights}
    uses = Counter(name for node in model.nodes for name in node.reads)
    uses.update(name for name, _ in model.outputs)
    maker = {name: node for node in model.nodes for name in node.outputs}
    found: dict[int, _Layer] = {}
    readers: Counter[str] = Counter()  # how often a weight is read by what will read it no more
    turned: set[str] = set()
    for number, node in enumerate(model.nodes):
        if node.domain or len(node.inputs) < 2 or node.op_type not in ("Gemm", "MatMul"):
            continue
        name, rows_first, through = node.inputs[1], node.attributes.values.get("transB", 0) == 1, maker.get(node.inputs[1])
        if through is not None and through.op_type == "Transpose" and node.op_type == "MatMul":
            name, rows_first = through.inputs[0], True
            if through.attributes.values.get("perm") != (1, 0):
                continue
        if name in tensors and _fits(node, layer := _Layer(tensors[name], rows_first)):
            found[number] = layer
            readers[name] += through is None or through.outputs[0] not in turned
            turned.update(through.outputs if through is not None else ())
    shared = {layer.weight.name for layer in found.values() if readers[layer.weight.name] != uses[layer.weight.name]}
    both = Counter(name for name, _ in {(layer.weight.name, layer.rows_first) for layer in found.values()})
    return {n: layer for n, layer in found.items() if layer.weight.name not in shared and both[layer.weight.name] == 1}


def _fits(node: Operation, layer: _Layer) -> bool:
    """Whether the node is a plain product with a weight of two axes."""
    plain = {"transB": 1} if layer.rows_first and node.op_type == "Gemm" else {}
    same = node.attributes.values == plain and node.body is None
    return same and len(layer.weight.shape) == 2 and layer.weight.dtype == "float32" and layer.shape[1] >= BLOCK_SIZE


def _parts(layer: _Layer, bits: int, taken: set[str]) -> tuple[Tensor, Tensor, Tensor]:
    """What is stored of a weight: its values, scales and zero points."""
    n, k = layer.shape
    blocks = ceil(k / BLOCK_SIZE)
    shapes = (
        (f"q{bits}", (n, blocks, BLOCK_SIZE * bits // 8), "uint8"),
        ("scales", (n, blocks), "float32"),
        ("zero_points", (n, ceil(blocks * bits / 8)), "uint8"),
    )
    first, second, third = (
        layer.weight.model_copy(update={"name": fresh(f"{layer.weight.name}.{what}", taken), "shape": shape, "dtype": dtype})
        for what, shape, dtype in shapes
    )
    return first, second, third


def _product(node: Operation, parts: tuple[Tensor, ...], layer: _Layer, bits: int, taken: set[str]) -> list[Operation]:
    """The layer as a product by blocks, and its bias added."""
    n, k = layer.shape
    attributes = Attributes((("K", k), ("N", n), ("bits", bits), ("block_size", BLOCK_SIZE)))
    inputs = (node.inputs[0], *(part.name for part in parts))
    product = replace(node, op_type="MatMulNBits", domain="com.microsoft", inputs=inputs, attributes=attributes)
    if len(node.inputs) < 3:
        return [product]
    between = fresh(f"{node.outputs[0]}/product", taken)
    add = replace(node, op_type="Add", inputs=(between, node.inputs[2]), attributes=Attributes())
    return [replace(product, name=f"{node.name}/MatMulNBits", outputs=(between,)), add]


def pack(rows: np.ndarray, bits: int) -> Packed:
    """Rows `[n, K]` in blocks: values `[n, blocks, bytes]`, scales `[n, blocks]`, zero points `[n, bytes]`, as `MatMulNBits` reads them."""
    n, k = rows.shape
    blocks = ceil(k / BLOCK_SIZE)
    padded = np.zeros((n, blocks * BLOCK_SIZE), np.float32)
    padded[:, :k] = rows
    quantized, scales, zeros = _best(padded.reshape(n, blocks, BLOCK_SIZE), bits)
    if bits == 8:
        return quantized, scales, zeros
    if blocks % 2:
        zeros = np.concatenate((zeros, np.full((n, 1), 8, np.uint8)), axis=1)
    return quantized[..., ::2] | quantized[..., 1::2] << 4, scales, zeros[:, ::2] | zeros[:, 1::2] << 4


def _best(values: np.ndarray, bits: int) -> Packed:
    """Every block as the best of the candidates stores it, a value a byte."""
    levels, middle = (1 << bits) - 1, 1 << bits - 1
    low, high = np.minimum(values.min(-1), 0), np.maximum(values.max(-1), 0)
    largest = np.where(high > -low, high, low)
    candidates = [(largest / np.float32(-middle), np.full(low.shape, middle, np.float32))]  # even: the farthest value is exact
    for kept in _KEPT[bits]:
        scale = (high - low) * np.float32(kept / levels)
        with np.errstate(divide="ignore", invalid="ignore"):
            zero = np.where(scale > 0, np.rint(-low * np.float32(kept) / scale), middle).clip(0, levels)
        candidates.append((scale, zero.astype(np.float32)))
    best, least = None, None
    for scale, zero in candidates:
        quantized, error = _stored(values, scale, zero, levels)
        if best is None or least is None:
            best, least = (quantized, scale, zero), error
            continue
        better = error < least
        least = np.where(better, error, least)
        best = (np.where(better[..., None], quantized, best[0]), np.where(better, scale, best[1]), np.where(better, zero, best[2]))
    assert best is not None
    return best[0], best[1].astype(np.float32), best[2].astype(np.uint8)


def _stored(values: np.ndarray, scale: np.ndarray, zero: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """The values as stored, and the squared error of every block when it is read."""
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    quantized = values * inverse[..., None]
    quantized += zero[..., None]
    np.rint(quantized, out=quantized)
    np.clip(quantized, 0, levels, out=quantized)
    difference = (quantized - zero[..., None]) * scale[..., None]
    difference -= values
    return quantized.astype(np.uint8), np.einsum("nbk,nbk->nb", difference, difference)


@record
class _InBlocks(Weights):
    """The weights of a model whose linear layers are stored in blocks. `sources` says of a stored tensor which layer it is of, and which of
    the three parts. Scales and zero points, which are found with the values, are kept until they are asked for: they are in the file
    right behind them."""

    original: Weights
    sources: Mapping[str, _Source]
    bits: int
    known: dict[tuple[str, int, int], np.ndarray] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """A stored tensor by stretches of rows, others as they were."""
        if tensor.name not in self.sources:
            yield from self.original.pieces(tensor)
            return
        layer, part = self.sources[tensor.name]
        n, k = layer.shape
        whole = not layer.rows_first or len(list(self.original.pieces(layer.weight))) == 1  # what comes in one part is not cut into more
        step = n if whole else max(1, STRETCH // k)
        for start in range(0, n, step):
            count = min(step, n - start)
            yield Piece(count * prod(tensor.shape[1:]), partial(self._part, layer, part, start, count))

    def _part(self, layer: _Layer, part: int, start: int, count: int) -> np.ndarray:
        with self.lock:
            ready = self.known.pop((layer.weight.name, part, start), None)
        if ready is not None:
            return ready
        rows = _rows(self.original, layer.weight, start, count) if layer.rows_first else self.original.array(layer.weight).T
        step = max(1, STRETCH // rows.shape[1])
        packed = [pack(rows[first : first + step], self.bits) for first in range(0, count, step)]
        values, scales, zeros = (np.concatenate(same).reshape(-1) for same in zip(*packed))
        if part == 0:
            with self.lock:
                self.known.update({(layer.weight.name, 1, start): scales, (layer.weight.name, 2, start): zeros})
        return (values, scales, zeros)[part]


def _rows(weights: Weights, tensor: Tensor, start: int, count: int) -> np.ndarray:
    """Some rows of a tensor, made of those of its pieces that hold them."""
    width = prod(tensor.shape[1:])
    first, last = start * width, (start + count) * width
    out = np.empty(last - first, tensor.dtype)
    position = 0
    for piece in weights.pieces(tensor):
        end = position + piece.count
        if end > first and position < last:
            made = piece.make()
            begin, stop = max(first, position), min(last, end)
            out[begin - first : stop - first] = made[begin - position : stop - position]
        position = end
    return out.reshape(count, width)
