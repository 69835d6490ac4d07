"""What all functions of each element by itself share."""

from typing import ClassVar

from netspec.op import Needs, Operator, Site
from netspec.ops._elements import as_float, converted, refuse_bool
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Torch, call, op


class Unary(Operator):
    """A function of each element by itself."""

    FAMILY: ClassVar[str] = "activation"
    ONNX: ClassVar[str]
    #: whether integers become float32 first, as in torch
    FLOAT: ClassVar[bool] = True

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The shape stays; integers become float32 where the function has fractions."""
        if not self.FLOAT:
            refuse_bool(inputs[0], self.NAME)
            return inputs[0]
        return TensorType(inputs[0].shape, as_float(inputs[0].dtype))

    def torch(self, site: Site) -> Torch:
        """`torch.exp(x)`."""
        return Torch(forward=call(f"torch.{self.NAME}", In()))

    def onnx(self, site: Site) -> OnnxTerm:
        """One node, after a Cast of integers."""
        return op(self.ONNX, converted(In(), site.input.dtype, site.output.dtype))
