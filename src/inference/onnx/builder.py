"""Nodes and constants of an ONNX graph under construction."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Value:
    """A tensor of the ONNX graph; the shape is that of the MINDIR."""

    name: str
    shape: tuple[int, ...] = ()


@dataclass
class Builder:
    """Collects nodes. ``scope`` is the cell that they come from; viewers show it as part of their names."""

    scope: str = ""
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    _known: dict[tuple, str] = field(default_factory=dict)
    _count: int = 0

    def add(self, operator: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; arrays, numbers and tuples among the inputs become constants, None an input left out.

        Returns:
            Its output as a `Value`, or a list of them where it has several.
        """
        number, self._count = self._count, self._count + 1
        names = [f"{operator}_{number}" + (f"_{index}" if outputs > 1 else "") for index in range(outputs)]
        path = f"{self.scope}.{operator}_{number}".lstrip(".")
        self.nodes.append(helper.make_node(operator, [self.name(x) for x in inputs], names, path, **attributes))
        values = [Value(name) for name in names]
        return values if outputs > 1 else values[0]

    def name(self, value: Any) -> str:
        """The name of a tensor in the graph; a constant is put there."""
        if value is None:
            return ""
        if isinstance(value, Value):
            return value.name
        if isinstance(value, float):
            value = np.float32(value)
        return self.constant(np.asarray(value))

    def constant(self, array: np.ndarray, name: str | None = None) -> str:
        """The name of a constant; equal ones are kept once, but not integers: a free batch size changes some of them.

        Args:
            name: the parameter's, if it is one.
        """
        key = (array.shape, array.dtype.str, array.tobytes())
        if key not in self._known or array.dtype == np.int64:
            self._known[key] = name or f"constant_{len(self.constants)}"
            self.constants[self._known[key]] = array
        return self._known[key]

    def initializers(self) -> list[TensorProto]:
        """The constants that nodes use."""
        used = {name for node in self.nodes for name in node.input}
        return [numpy_helper.from_array(array, name) for name, array in self.constants.items() if name in used]
