"""Free the batch size of a graph: compare it with its twin for another batch size.

Whatever differs between the two depends on the batch size: the target of a reshape, a size, a constant that is repeated
for every image. Each is replaced by what computes it from the shape of the image.
"""

import numpy as np
from onnx import NodeProto

from src.errors import UserError
from src.inference.onnx.builder import Builder, Value

SIZES = (2, 3)  # batch sizes of the twins; not 1, whose graph may leave out what the others need


def free_batch(graph: Builder, twin: Builder, image: Value) -> None:
    """Change ``graph`` for `SIZES`[0] images to one for any number, by its ``twin`` for `SIZES`[1].

    Raises:
        UserError: they differ by more than sizes.
    """
    if [_outline(node) for node in graph.nodes] != [_outline(node) for node in twin.nodes]:
        raise _impossible("its operators are others")
    graph.scope = "batch_size"
    count = len(graph.nodes)
    used = {name for node in graph.nodes for name in node.input}
    constants = [item for item in graph.constants.items() if item[0] in used]
    replaced = {}
    batch = graph.add("Gather", graph.add("Shape", image), np.array([0], np.int64))
    for name, array in constants:
        other = twin.constants[name]
        if np.array_equal(array, other):
            continue
        if array.dtype == np.int64 and array.shape == other.shape:
            reshapes = all(node.op_type == "Reshape" for node in graph.nodes if name in node.input)
            if reshapes and np.count_nonzero(array != other) == 1:
                graph.constants[name] = np.where(array == other, array, -1)  # -1: as many as there are
            else:
                replaced[name] = _sizes(graph, batch, array, other).name
        else:
            replaced[name] = _repeated(graph, batch, array, other).name
    graph.nodes[:] = [*graph.nodes[count:], *graph.nodes[:count]]
    for node in graph.nodes:
        node.input[:] = [replaced.get(name, name) for name in node.input]


def _outline(node: NodeProto) -> tuple:
    attributes = tuple(attribute.SerializeToString() for attribute in node.attribute)
    return node.op_type, tuple(node.input), tuple(node.output), attributes


def _impossible(reason: str) -> UserError:
    return UserError(
        f"--batch any: the graph for {SIZES[1]} images cannot be had from that for {SIZES[0]} ({reason}); "
        "give --batch a number"
    )


def _sizes(graph: Builder, batch: Value, array: np.ndarray, other: np.ndarray) -> Value:
    """Sizes, some of which are multiples of the batch size, which is ``batch``."""
    parts: list[Value | np.ndarray] = []
    for ours, theirs in zip(array, other, strict=True):
        if ours == theirs:
            parts.append(np.array([ours]))
            continue
        factor, rest = divmod(int(ours), SIZES[0])
        if rest or theirs != factor * SIZES[1]:
            raise _impossible(f"a size is {ours} in one and {theirs} in the other")
        parts.append(batch if factor == 1 else graph.add("Mul", batch, np.array([factor])))
    return graph.add("Concat", *parts, axis=0)


def _repeated(graph: Builder, batch: Value, array: np.ndarray, other: np.ndarray) -> Value:
    """A constant that holds one number as often as the batch size asks for."""
    number = array.reshape(-1)[:1]
    if array.ndim != other.ndim or (array != number).any() or (other != number).any():
        raise _impossible(f"a constant of shape {list(array.shape)} differs")
    return graph.add("Expand", number, _sizes(graph, batch, np.array(array.shape), np.array(other.shape)))
