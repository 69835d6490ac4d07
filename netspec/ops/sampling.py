"""Pictures and volumes read at places that a tensor says."""

from typing import ClassVar, Literal, final

from netspec.op import Accepts, Limitation, Needs, Operator, Reject, Rejects, Site
from netspec.ops._arguments import changed
from netspec.ops._inputs import require_floats, require_rank
from netspec.reach import All, Reach, Same
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Torch, call, op

#: ONNX calls two modes otherwise from opset 20
_NEW_NAMES = {"bilinear": "linear", "bicubic": "cubic", "nearest": "nearest"}


@final
class GridSample(Operator):
    """Reads a picture at real-valued places: `(x, grid)`, where `grid[n, i, j]` is the place (column, row) in x that output
    position (i, j) takes its numbers from; -1 and 1 are the borders of the picture (Jaderberg et al., "Spatial
    Transformer Networks", arXiv:1506.02025).

    Inputs `[N, C, H, W]` and `[N, h, w, 2]`, output `[N, C, h, w]`; or a volume `[N, C, D, H, W]` and `[N, d, h, w, 3]`, of
    whose places the third number is the slice, output `[N, C, d, h, w]`.

    mode: how neighbours are weighed: bilinear (of a volume all eight), nearest, or bicubic (of pictures).
    padding_mode: what stands outside of the picture: zeros, its border, or its reflection.
    align_corners: whether -1 and 1 are the centres of the outermost elements, rather than their outer edges.

    PyTorch: `F.grid_sample`. ONNX: GridSample; of volumes from opset 20 on.
    """

    NAME: ClassVar[str] = "grid_sample"
    FAMILY: ClassVar[str] = "upsample"
    ARITY: ClassVar[int | tuple[int, int | None]] = 2
    LIMITATIONS: ClassVar[tuple[Limitation, ...]] = (Limitation("onnx", "volumes below opset 20", "GridSample takes pictures alone there"),)
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("grid_sample", ("[N, 3, H = 6, W = 7]", "[N, A = 4, B = 5, 2]"), "[N, 3, A, B]"),
        Accepts("grid_sample(align_corners = true)", ("[N, C = 2, H, W]", "[N, H, W, 2]"), "[N, C, H, W]"),
        Accepts("grid_sample(nearest, padding_mode = border)", ("[N, 3, 6, 7]", "[N, 4, 5, 2]"), "[N, 3, 4, 5]"),
        Accepts("grid_sample(padding_mode = reflection)", ("[N, 3, 6, 7]", "[N, 4, 5, 2]"), "[N, 3, 4, 5]"),
        Accepts("grid_sample(padding_mode = reflection, align_corners = true)", ("[N, 3, 6, 7]", "[N, 4, 5, 2]"), "[N, 3, 4, 5]"),
        Accepts("grid_sample(bicubic)", ("[N, 3, 6, 7]", "[N, 4, 5, 2]"), "[N, 3, 4, 5]"),
        Accepts("grid_sample(bicubic, padding_mode = border)", ("[N, 3, 6, 7]", "[N, 4, 5, 2]"), "[N, 3, 4, 5]"),
        Accepts("grid_sample(bicubic, reflection, align_corners = true)", ("[N, 3, 6, 7]", "[N, 4, 5, 2]"), "[N, 3, 4, 5]"),
        Accepts("grid_sample", ("[N, 2, D = 3, H = 4, W = 5]", "[N, A = 2, B = 3, C = 4, 3]"), "[N, 2, A, B, C]"),
        Accepts("grid_sample(nearest, reflection)", ("[N, 2, 3, 4, 5]", "[N, 2, 3, 4, 3]"), "[N, 2, 2, 3, 4]"),
        Accepts("grid_sample(padding_mode = border, align_corners = true)", ("[N, 2, 3, 4, 5]", "[N, 2, 3, 4, 3]"), "[N, 2, 2, 3, 4]"),
        Rejects("grid_sample", ("[N, 3, H, W]", "[N, H, W, 3]"), "NS412"),
        Rejects("grid_sample", ("[2, 3, H, W]", "[3, H, W, 2]"), "NS412"),
        Rejects("grid_sample", ("[N, 3, H, W]", "[N, H, 2]"), "NS401"),
        Rejects("grid_sample", ("[N, 3, D, H, W]", "[N, H, W, 2]"), "NS401"),
        Rejects("grid_sample", ("[N, 3, D, H, W]", "[N, D, H, W, 2]"), "NS412"),
        Rejects("grid_sample(bicubic)", ("[N, 3, D, H, W]", "[N, D, H, W, 3]"), "NS310"),
        Rejects("grid_sample", ("[N, 3, L]", "[N, L, 1]"), "NS401"),
        Rejects("grid_sample", ("[N, 3, H, W]", "int64 [N, H, W, 2]"), "NS403"),
        Rejects("grid_sample", ("[N, 3, H, W]", "float64 [N, H, W, 2]"), "NS403"),
        Rejects("grid_sample(trilinear)", ("[N, 3, H, W]", "[N, H, W, 2]"), "NS310"),
    )

    mode: Literal["bilinear", "nearest", "bicubic"] = "bilinear"
    padding_mode: Literal["zeros", "border", "reflection"] = "zeros"
    align_corners: bool = False

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The channels of the picture at the places of the grid."""
        x, grid = inputs
        require_floats(self.NAME, x, grid)
        require_rank(self.NAME, x, 4, 5, input=0, help="[N, C, H, W] or [N, C, D, H, W]")
        require_rank(self.NAME, grid, x.rank, x.rank, input=1, help="[N, h, w, 2]" if x.rank == 4 else "[N, d, h, w, 3]")
        if x.rank == 5 and self.mode == "bicubic":
            raise Reject("NS310", "`bicubic` is for pictures, and not for volumes", argument="mode", help="mode = bilinear")
        if grid.dtype != x.dtype:
            raise Reject("NS403", f"picture and grid are of one element type, not {x.dtype} and {grid.dtype}", input=1)
        need.equal(x.shape[0], grid.shape[0], "picture and grid differ in the number of examples")
        numbers = "a place has a column and a row" if x.rank == 4 else "a place has a column, a row and a slice"
        need.equal(grid.shape[-1], x.rank - 2, numbers)
        return x.with_shape((*x.shape[:2], *grid.shape[1:-1]))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Anything of the picture, for the grid decides; its own place of the grid."""
        axes = range(2, inputs[0].rank)
        return (Reach(((Same(0), Same(1), *map(All, axes)), (Same(0), None, *(Same(a - 1) for a in axes)))),)

    def torch(self, site: Site) -> Torch:
        """`F.grid_sample(x, grid, align_corners=False)`: torch warns where that is left out."""
        named = {**changed(self, "mode", "padding_mode"), "align_corners": self.align_corners}
        return Torch(forward=call("F.grid_sample", In(0), In(1), **named))

    def onnx(self, site: Site) -> OnnxTerm:
        """GridSample."""
        if site.input.rank == 5 and site.opset < 20:
            raise Reject("NS704", "GridSample takes volumes from opset 20 on", help="opset 20 or newer")
        mode = self.mode if site.opset < 20 else _NEW_NAMES[self.mode]
        return op("GridSample", In(0), In(1), mode=mode, padding_mode=self.padding_mode, align_corners=int(self.align_corners))
