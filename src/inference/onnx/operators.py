"""The ONNX form of each operator that the networks consist of.

A function takes the builder, the node of the MINDIR and its inputs: a `Value`, an array (a parameter or a constant), a
number, a tuple of such, or None. It returns a `Value` or an array, or a list of these where the node has several
outputs. ONNX's operators are those of opset 17.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from src.inference.onnx.builder import Builder, Value
from src.inference.onnx.mindir import Node
from src.models.layers.pooling import pooling_matrix

Operator = Callable[..., Any]


def _same(operator: str) -> Operator:
    return lambda graph, node, *inputs: graph.add(operator, *inputs)


def _first(graph: Builder, node: Node, first: Any, *others: Any) -> Any:
    return first


def _axes(axis: Any) -> list[int]:
    return [int(one) for one in np.atleast_1d(axis)]


def _conv(graph: Builder, node: Node, x: Value, weight: Any) -> Value:
    facts = node.attributes
    top, bottom, left, right = facts["pad_list"]
    return graph.add(
        "Conv", x, weight,
        kernel_shape=np.broadcast_to(facts["kernel_size"], 2).tolist(), strides=facts["stride"][2:],
        dilations=facts["dilation"][2:], pads=[top, left, bottom, right], group=facts["group"],
    )  # fmt: skip


def _bias_add(graph: Builder, node: Node, x: Value, bias: Any, _format: Any) -> Value:
    """The bias lies along axis 1."""
    ones = (1,) * (len(x.shape) - 2)
    if isinstance(bias, np.ndarray):
        return graph.add("Add", x, bias.reshape(-1, *ones))
    return graph.add("Add", x, _reshape(graph, bias, (*bias.shape, *ones)))


def _batch_norm(graph: Builder, node: Node, x: Value, *inputs: Any) -> list[Value]:
    gamma, beta, mean, variance, _training, eps, *_ = inputs
    return [graph.add("BatchNormalization", x, gamma, beta, mean, variance, epsilon=eps)]


def _layer_norm(graph: Builder, node: Node, x: Value, gamma: Any, beta: Any, axis: int, _: int, eps: float):
    return [graph.add("LayerNormalization", x, gamma, beta, axis=axis, epsilon=eps)]


def _product(graph: Builder, node: Node, a: Any, b: Any, transpose_a: Any = 0, transpose_b: Any = 0) -> Value:
    rank = len(a.shape)
    if rank == 2 and (transpose_a or transpose_b):
        return graph.add("Gemm", a, b, transA=int(transpose_a), transB=int(transpose_b))
    swap = [*range(rank - 2), rank - 1, rank - 2]
    a = graph.add("Transpose", a, perm=swap) if transpose_a else a
    b = graph.add("Transpose", b, perm=swap) if transpose_b else b
    return graph.add("MatMul", a, b)


def _reshape(graph: Builder, x: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(x, np.ndarray):
        return x.reshape(shape)
    return x if x.shape == shape else graph.add("Reshape", x, np.array(shape, np.int64))


def _transpose(graph: Builder, node: Node, x: Value, order: tuple[int, ...]) -> Value:
    return graph.add("Transpose", x, perm=[axis % len(order) for axis in order])


def _split(graph: Builder, node: Node, x: Value, axis: int, _number: int) -> list[Value]:
    sizes = np.array([shape[axis] for shape in node.shapes], np.int64)
    return graph.add("Split", x, sizes, axis=axis, outputs=len(sizes))


def _unstack(graph: Builder, node: Node, x: Value) -> list[Value]:
    axis = node.attributes["axis"]
    return [graph.add("Gather", x, np.int64(index), axis=axis) for index in range(len(node.shapes))]


def _strided_slice(graph: Builder, node: Node, x: Value, begin: Any, end: Any, stride: Any, *masks: int) -> Any:
    """Each mask has a bit per axis: begin at the first, end after the last, and for the others see the assertion."""
    from_first, to_last, ellipsis, new_axes, dropped = masks
    assert not ellipsis and not new_axes and min(stride) > 0
    cuts = []  # axis, start, end, step
    for axis in range(len(begin)):
        start = 0 if from_first >> axis & 1 else begin[axis]
        stop = x.shape[axis] if to_last >> axis & 1 else end[axis]
        if dropped >> axis & 1:
            stop = start + 1 if start != -1 else x.shape[axis]
        if (start, stride[axis]) != (0, 1) or stop < x.shape[axis]:
            cuts.append((axis, start, stop, stride[axis]))
    if cuts:
        axes, starts, ends, steps = np.array(cuts, np.int64).T
        x = graph.add("Slice", x, starts, ends, axes, steps)
    return _reshape(graph, x, node.shapes[0]) if dropped else x


def _sum(graph: Builder, node: Node, x: Value, axis: Any = None, keep: Any = 0, *_: Any) -> Value:
    axes = list(range(len(x.shape))) if axis is None or axis == () else _axes(axis)
    return graph.add("ReduceSum", x, np.array(axes, np.int64), keepdims=int(keep))


def _mean(graph: Builder, node: Node, x: Value, axis: Any = None, keep: Any = 0, *_: Any) -> Value:
    axes = list(range(len(x.shape))) if axis is None or axis == () else _axes(axis)
    return graph.add("ReduceMean", x, axes=axes, keepdims=int(keep))


def _resize(graph: Builder, node: Node, x: Value, size: tuple[int, int], _corners: Any, half: Any) -> Value:
    assert half
    if x.shape == node.shapes[0]:
        return x
    sizes = np.array(node.shapes[0], np.int64)
    return graph.add("Resize", x, None, None, sizes, mode="linear", coordinate_transformation_mode="half_pixel")


def _adaptive_pool(graph: Builder, node: Node, x: Value) -> Value:
    """Products with the matrices that average; ONNX has no such pool."""
    (height, width), (rows, columns) = x.shape[2:], node.shapes[0][2:]
    if (rows, columns) == (1, 1):
        return graph.add("GlobalAveragePool", x)
    x = graph.add("MatMul", x, np.ascontiguousarray(pooling_matrix(width, (columns,)).T))
    return graph.add("MatMul", pooling_matrix(height, (rows,)), x)


def _max_pool(graph: Builder, node: Node, x: Value) -> list[Value]:
    """MindSpore pools [B, C, 1, H, W]; the neighbors add and remove the axis."""
    facts = node.attributes
    depth, *kernel = facts["ksize"]
    assert (depth, facts["pads"][0], facts["ceil_mode"]) == (1, 0, 0)
    axis = np.array([2], np.int64)
    flat = graph.add(
        "MaxPool", graph.add("Squeeze", x, axis),
        kernel_shape=kernel, strides=facts["strides"][1:], pads=facts["pads"][1:] * 2, dilations=facts["dilation"][1:],
    )  # fmt: skip
    return [graph.add("Unsqueeze", flat, axis)]


def _gelu_tanh(graph: Builder, node: Node, x: Value) -> Value:
    cubic = graph.add("Mul", graph.add("Mul", x, x), x)
    inner = graph.add("Add", x, graph.add("Mul", cubic, 0.044715))
    inner = graph.add("Mul", inner, math.sqrt(2 / math.pi))
    return graph.add("Mul", graph.add("Mul", x, 0.5), graph.add("Add", graph.add("Tanh", inner), 1.0))


def _arg_max(graph: Builder, node: Node, x: Value, axis: int, _type: Any) -> Value:
    ids = graph.add("ArgMax", x, axis=axis, keepdims=0)
    return graph.add("Cast", ids, to=node.types[0])


OPERATORS: dict[str, Operator] = {
    **{name: _same(name) for name in ("Add", "Sub", "Mul", "Div", "Sigmoid", "Tanh", "Erf", "Exp", "Sqrt", "Neg")},
    "ReLU": _same("Relu"),
    "Muls": _same("Mul"),
    "Maximum": _same("Max"),
    "ReLU6": lambda graph, node, x: graph.add("Clip", x, 0.0, 6.0),
    "GeLU": _gelu_tanh,
    "Softmax": lambda graph, node, x, axis: graph.add("Softmax", x, axis=_axes(axis)[0]),
    "Conv2D": _conv,
    "BiasAdd": _bias_add,
    "BatchNorm": _batch_norm,
    "LayerNorm": _layer_norm,
    "MatMul": _product,
    "MatMulExt": _product,
    "BatchMatMul": _product,
    "Reshape": lambda graph, node, x, _: _reshape(graph, x, node.shapes[0]),
    "ExpandDims": lambda graph, node, x, axis: graph.add("Unsqueeze", x, np.array(_axes(axis), np.int64)),
    "Squeeze": lambda graph, node, x, axis: graph.add("Squeeze", x, np.array(_axes(axis), np.int64)),
    "Transpose": _transpose,
    "Concat": lambda graph, node, parts, axis: graph.add("Concat", *parts, axis=axis),
    "Split": _split,
    "Unstack": _unstack,
    "StridedSlice": _strided_slice,
    "Gather": lambda graph, node, x, index, axis, _batch: graph.add("Gather", x, index, axis=axis),
    "BroadcastTo": lambda graph, node, x, _: graph.add("Expand", x, np.array(node.shapes[0], np.int64)),
    "SumExt": _sum,
    "ReduceSum": _sum,
    "ReduceMean": _mean,
    "MeanExt": _mean,
    "ResizeBilinearV2": _resize,
    "AdaptiveAvgPool2D": _adaptive_pool,
    "MaxPool3DWithArgmax": _max_pool,
    "Cast": lambda graph, node, x, *_: graph.add("Cast", x, to=node.types[0]),
    "Argmax": _arg_max,
    # The order of effects, of which these graphs have none, and the packing of several values.
    "Load": _first,
    "Depend": _first,
    "MakeTuple": lambda graph, node, *parts: list(parts),
    "TupleGetItem": lambda graph, node, parts, index: parts[index],
}
