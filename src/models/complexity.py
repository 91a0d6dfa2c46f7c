"""Multiply-adds and parameters of a network, counted in its compiled graph, so that layers need no counting code.

Convolutions and matrix products are counted. Products with a constant matrix (resizing, pooling, means) or with an
inner dimension of one (repeating a row) are not: they replace operators that are never counted.
"""

import math
import tempfile
from pathlib import Path

import mindspore as ms
from mindspore import Tensor, nn
from mindspore.train.mind_ir_pb2 import ModelProto

from src.models.layers import backend

PRODUCTS = {"MatMul", "MatMulExt", "BatchMatMul", "BatchMatMulExt"}


def multiply_adds(network: nn.Cell, *inputs: Tensor) -> dict[str, int]:
    """Count the multiply-adds of one evaluation of ``network`` on inputs of these shapes.

    Returns:
        For every cell that has any, by its path in the network (``decoder.fusion.conv``).
    """
    network.set_train(False)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.mindir"
        with backend.at_most("products"):
            ms.export(network, *inputs, file_name=str(file.with_suffix("")), file_format="MINDIR")
        model = ModelProto()
        model.ParseFromString(file.read_bytes())
    primitives = {primitive.name: primitive for primitive in model.primitives}
    shapes = {value.name: list(value.dims) for value in model.graph.parameter}
    shapes |= {value.name: list(value.tensor[0].dims) for value in model.graph.input if value.tensor}
    constants, counts = set(), {}
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "shape" and attribute.tensors:
                shapes[node.name] = list(attribute.tensors[0].dims)
        if node.op_type == "Constant":
            constants.add(node.name)
            continue
        primitive = primitives.get(node.op_type.removeprefix("REF::"))
        if primitive is None or primitive.op_type not in PRODUCTS | {"Conv2D"}:
            continue
        x, weight = [name.removesuffix(":0") for name in node.input[:2]]
        if x in constants or weight in constants:
            continue
        if primitive.op_type == "Conv2D":
            inner = math.prod(shapes[weight][1:])
        else:
            rows = shapes[node.name][-2]
            inner = math.prod(shapes[x][-2:]) // rows  # whether or not x is transposed
            if inner == 1:
                continue
        path = _path(node.domain)
        counts[path] = counts.get(path, 0) + inner * math.prod(shapes[node.name])
    return counts


def by_part(counts: dict[str, int], depth: int = 2) -> dict[str, int]:
    """Sum the counts of all cells whose paths begin with the same ``depth`` names, largest first."""
    sums: dict[str, int] = {}
    for path, count in counts.items():
        part = ".".join(path.split(".")[:depth])
        sums[part] = sums.get(part, 0) + count
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def parameters_by_part(network: nn.Cell, depth: int = 2) -> dict[str, int]:
    """Count the trained parameters of all cells whose paths begin with the same ``depth`` names."""
    sums: dict[str, int] = {}
    for parameter in network.trainable_params():
        part = ".".join(parameter.name.split(".")[:-1][:depth])
        sums[part] = sums.get(part, 0) + parameter.size
    return sums


def _path(domain: str) -> str:
    """``Default/decoder-FPN/outputs-CellList/0-ConvNormReLU/Conv2D-op0`` -> ``decoder.outputs.0``."""
    cells = domain.split("/")[1:-1]
    return ".".join(cell.rpartition("-")[0] or cell for cell in cells)
