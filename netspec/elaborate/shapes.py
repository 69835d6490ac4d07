"""Written shapes: they open sizes on a network's inputs, and bind or check sizes everywhere else."""

from __future__ import annotations

from typing import Any

from netspec.elaborate.calls import Calls
from netspec.elaborate.environment import MISSING, Environment
from netspec.elaborate.values import Tensor, describe
from netspec.sizes.dim import Dim, Size
from netspec.sizes.solve import Condition
from netspec.sizes.tensor import DTYPES, TensorType
from netspec.syntax import tree

#: the typical value of an open size that states none: one image, and some length for everything else
_BATCH, _LENGTH = 1, 32


class WrittenShapes(Calls):
    """What `[N, 3, H = 224, W]` means, on an input of the network and elsewhere."""

    def open_input(self, s: tree.Input, env: Environment) -> Tensor:
        """An input of the network: its free names become open sizes."""
        if s.shape is None:
            helps = (f"write `input {s.name}: [N, 3, H = 224, W = 224]`",)
            self.fail("NS211", f"the network's input `{s.name}` needs a shape", s.place, helps=helps)
        shape = tuple(self._open_size(dim, axis, env) for axis, dim in enumerate(s.shape.dims))
        number = self.builder.value(TensorType(shape, self._dtype(s.shape)), s.name)
        self.builder.hints[number] = s.name
        self.builder.inputs.append((s.name, number, s.name_place))
        return self.tensor(number)

    def _dtype(self, shape: tree.Shape) -> str:
        dtype = shape.dtype or "float32"
        if dtype not in DTYPES:
            self.fail("NS212", f"there is no dtype `{dtype}`", shape.place, helps=self.nearest(dtype, DTYPES))
        return dtype

    def _open_size(self, dim: tree.Dim, axis: int, env: Environment) -> Size:
        if isinstance(dim.size, tree.Name) and (dim.typical is not None or env.find(dim.size.id) is MISSING):
            name = dim.size.id
            if not name.isascii():
                self.fail("NS213", f"the name of an open size is of ASCII letters, digits and `_`, unlike `{name}`", dim.place)
            if name in self.fixed_sizes:  # a number from here on, as if it were written so
                self.builder.fixed.add(name)
                env.names[name] = self.fixed_sizes[name]
                return self.fixed_sizes[name]
            sizes = self.builder.sizes
            written = self.builder.written
            if dim.typical is not None:
                written[name] = self._typical(dim, env)
                sizes[name] = self.typical_values.get(name, written[name])
                self.builder.stated.add(name)
            elif name not in sizes:
                written[name] = _BATCH if axis == 0 else _LENGTH
                sizes[name] = self.typical_values.get(name, written[name])
                if name in self.typical_values or axis == 0:
                    self.builder.stated.add(name)
            env.names[name] = Dim.name(name)
            return env.names[name]
        if dim.typical is not None:
            self.fail("NS213", "only a name can have a typical value (`H = 224`)", dim.place)
        return self._size(dim.size, env)

    def _typical(self, dim: tree.Dim, env: Environment) -> int:
        assert dim.typical is not None
        value = self.evaluate(dim.typical, env)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self.fail("NS213", f"a typical size is a positive whole number, not {describe(value)}", dim.typical.place)
        return value

    def _size(self, expression: tree.Expr, env: Environment) -> Size:
        value = self.evaluate(expression, env)
        if isinstance(value, Dim):
            return value
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail("NS213", f"a size is a whole number, not {describe(value)}", expression.place)
        if value < 0:
            self.fail("NS213", f"a size cannot be {value}", expression.place)
        return value

    def check_shape(self, shape: tree.Shape, value: Any, env: Environment, place: Any) -> Tensor:
        """Hold a tensor against a written shape: free names in it are bound, everything else must agree. The tensor with
        the sizes as written, which say no less than those that were found."""
        (tensor, *others) = self.as_tensors(value, place)
        if others:
            self.fail("NS301", "a shape is written for one tensor", shape.place)
        found = tensor.type
        if shape.dtype is not None and self._dtype(shape) != found.dtype:
            self.fail("NS413", f"written as {shape.dtype}, and it is {found}", shape.place)
        if len(shape.dims) != found.rank:
            self.fail("NS413", f"written with {len(shape.dims)} axes, and it is {found}", shape.place)
        sizes = tuple(self._check_size(dim, size, found, env) for dim, size in zip(shape.dims, found.shape))
        if sizes != found.shape:
            self.builder.types[tensor.number] = TensorType(sizes, found.dtype)
        return self.tensor(tensor.number)

    def _check_size(self, dim: tree.Dim, size: Size, found: TensorType, env: Environment) -> Size:
        if isinstance(dim.size, tree.Name) and env.find(dim.size.id) is MISSING:
            env.names[dim.size.id] = size
            return size
        wanted = self._size(dim.size, env)
        if wanted == size:
            return size
        condition = Condition("==", size, wanted)
        if condition.status() is False:
            self.fail("NS413", f"written as {wanted}, and it is {size}", dim.place, notes=(f"the tensor is {found}",))
        self.require(condition, "NS413", f"written as {wanted}, and it is {size}", dim.place)
        return wanted
