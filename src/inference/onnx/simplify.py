"""Remove what the translation of single operators leaves over: the result is the same."""

from collections import Counter

import numpy as np
from onnx import NodeProto

from src.inference.onnx.builder import Builder


def simplify(graph: Builder, output: str) -> None:
    """Join and drop nodes whose result is ``output``, in place."""
    sources = {name: node for node in graph.nodes for name in node.output}
    for node in graph.nodes:
        if node.op_type == "Reshape":
            _skip_reshape(node, sources)
        elif node.op_type == "Squeeze":
            _undo_unsqueeze(graph, node, sources)
    _drop_unused(graph, output)
    _join_bias(graph)


def _skip_reshape(node: NodeProto, sources: dict[str, NodeProto]) -> None:
    """Of two reshapes in a row the second is enough."""
    source = sources.get(node.input[0])
    if source and source.op_type == "Reshape":
        node.input[0] = source.input[0]


def _undo_unsqueeze(graph: Builder, node: NodeProto, sources: dict[str, NodeProto]) -> None:
    """What takes from the output of a removal takes from its input instead, where the axis had just been added."""
    source = sources.get(node.input[0])
    if not source or source.op_type != "Unsqueeze":
        return
    if np.array_equal(graph.constants[source.input[1]], graph.constants[node.input[1]]):
        for user in graph.nodes:
            for place, name in enumerate(user.input):
                if name == node.output[0]:
                    user.input[place] = source.input[0]


def _drop_unused(graph: Builder, output: str) -> None:
    used, kept = {output}, []
    for node in reversed(graph.nodes):
        if used.intersection(node.output):
            used.update(node.input)
            kept.append(node)
    graph.nodes[:] = reversed(kept)


def _join_bias(graph: Builder) -> None:
    """A convolution or product takes the bias that is added to it."""
    uses = Counter(name for node in graph.nodes for name in node.input)
    sources = {node.output[0]: node for node in graph.nodes if node.op_type in ("Conv", "Gemm")}
    dropped = []
    for node in graph.nodes:
        source = sources.get(node.input[0]) if node.op_type == "Add" else None
        bias = graph.constants.get(node.input[1]) if source else None
        if source is None or bias is None or len(source.input) != 2 or uses[node.input[0]] != 1:
            continue
        channels_first = bias.shape[1:] == (1, 1) if source.op_type == "Conv" else bias.ndim == 1
        if channels_first:
            source.input.append(graph.constant(bias.reshape(-1)))
            source.output[0] = node.output[0]
            dropped.append(node)
    graph.nodes[:] = [node for node in graph.nodes if not any(node is one for one in dropped)]
