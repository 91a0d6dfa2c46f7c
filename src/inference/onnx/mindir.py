"""Read a MINDIR into plain Python: one graph of operators, parameters and constants, every shape known."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mindspore.train.mind_ir_pb2 import AttributeProto, ModelProto, TensorProto
from onnx import helper

from src.errors import UserError

FLOAT64 = 17  # MINDIR's second number for it; its other numbers of types are those of ONNX


@dataclass(frozen=True)
class Node:
    """An operator; ``shapes`` and ``types`` are those of its outputs, the types as ONNX numbers them."""

    primitive: str
    inputs: list[str]
    shapes: list[tuple[int, ...]]
    types: list[int]
    attributes: dict[str, Any]
    scope: str  # backbone.layer1.0


@dataclass(frozen=True)
class Graph:
    """A MINDIR of one image input and one output. ``nodes`` come in an order in which they can be computed."""

    input: str
    input_shape: tuple[int, ...]
    input_type: int
    output: str
    parameters: dict[str, np.ndarray]  # by the name within the graph
    constants: dict[str, Any]
    nodes: dict[str, Node]


def read_mindir(path: Path) -> Graph:
    """Read the graph of a MINDIR.

    Raises:
        UserError: it has control flow, or not exactly one input and one output.
    """
    model = ModelProto()
    model.ParseFromString(path.read_bytes())
    graph = model.graph
    if model.functions or len(graph.input) != 1 or len(graph.output) != 1:
        raise UserError(f"{path}: expected one graph with one input and one output, without branches or loops")
    primitives = {primitive.name: primitive for primitive in model.primitives}
    constants, nodes = {}, {}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.name] = _value(node.attribute[0])
            continue
        primitive = primitives.get(node.op_type.removeprefix("REF::"))
        tensors = [tensor for item in node.attribute if item.name == "shape" for tensor in _tensors(item)]
        nodes[node.name] = Node(
            primitive.op_type if primitive else node.op_type,
            list(node.input),
            [tuple(tensor.dims) for tensor in tensors],
            [_type(tensor) for tensor in tensors],
            {item.name: _value(item) for item in primitive.attribute} if primitive else {},
            ".".join(cell.rpartition("-")[0] or cell for cell in node.domain.split("/")[1:-1]),
        )
    (image,) = graph.input
    return Graph(
        image.name,
        tuple(image.tensor[0].dims),
        _type(image.tensor[0]),
        graph.output[0].name,
        {parameter.name: _array(parameter) for parameter in graph.parameter},
        constants,
        nodes,
    )


def _tensors(attribute: AttributeProto) -> list[TensorProto]:
    return [*attribute.tensors, *(tensor for item in attribute.values for tensor in _tensors(item))]


def _type(tensor: TensorProto) -> int:
    return TensorProto.DOUBLE if tensor.data_type == FLOAT64 else tensor.data_type


def _array(tensor: TensorProto) -> np.ndarray:
    return np.frombuffer(tensor.raw_data, helper.tensor_dtype_to_np_dtype(_type(tensor))).reshape(tuple(tensor.dims))


def _value(attribute: AttributeProto) -> Any:
    """A constant: number, text, tuple, array, or None for whatever has no value."""
    kind = AttributeProto.AttributeType.Name(attribute.type)
    if kind in ("TUPLE", "LIST"):
        return tuple(_value(item) for item in attribute.values)
    if kind in ("TENSOR", "TENSORS"):
        return _array(attribute.tensors[0] if attribute.tensors else attribute.t)
    if kind.startswith(("INT", "UINT", "BOOL")):
        return attribute.ints[0] if attribute.ints else attribute.i
    if kind == "FLOAT":
        return attribute.floats[0] if attribute.floats else attribute.f
    if kind == "STRING":
        return (attribute.strings[0] if attribute.strings else attribute.s).decode()
    return None
