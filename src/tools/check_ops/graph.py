"""The operators of an exported graph, with the layers they come from."""

import tempfile
from pathlib import Path

import mindspore as ms
from mindspore import nn
from mindspore.train.mind_ir_pb2 import ModelProto

from src.errors import UserError
from src.models.layers import backend

Operators = dict[str, list[str]]  # name: the layers that use it, in the order of the graph

# What holds a graph together; no kernel runs for them on any device.
STRUCTURE = {
    "Constant", "Depend", "Load", "MakeList", "MakeTuple", "Partial", "Return", "Switch", "TupleGetItem", "UpdateState",
    "make_list",
}  # fmt: skip


def read_operators(path: Path) -> Operators:
    """The operators of a MINDIR file.

    Raises:
        UserError: the file is missing or not a MINDIR.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix != ".mindir":  # an ONNX file can be read as one, with the names of ONNX's operators
        raise UserError(f"{path}: expected a .mindir; export the checkpoint with --format MINDIR")
    model = ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception:  # the reader raises an error of its own, whose class moves between versions
        raise UserError(f"{path}: not a readable MINDIR; export it again") from None
    types = {f"REF::{primitive.name}": primitive.op_type for primitive in model.primitives}
    found: dict[str, dict[str, None]] = {}
    for graph in (model.graph, *model.functions):
        for node in graph.node:
            name = types.get(node.op_type, node.op_type)
            if name not in STRUCTURE and not name.startswith("REF::"):  # else a call of another function
                found.setdefault(name, {})[_layer(node.domain)] = None
    if not found:
        raise UserError(f"{path}: not a MINDIR with operators; export it again")
    return {name: list(layers) for name, layers in found.items()}


def operators_of(network: nn.Cell, *inputs, form: str) -> Operators:
    """The operators that MindSpore compiles ``network`` to.

    Args:
        form: fastest form of the layers, see src/models/layers/backend.py.
    """
    with tempfile.TemporaryDirectory() as folder, backend.at_most(form):
        stem = Path(folder) / "graph"
        ms.export(network, *inputs, file_name=str(stem), file_format="MINDIR")
        return read_operators(stem.with_suffix(".mindir"))


def _layer(scope: str) -> str:
    """``Default/backbone-ResNet/conv1-Conv2d/Conv2D-op0`` -> ``backbone.conv1 (Conv2d)``."""
    cells = [part.partition("-") for part in scope.split("/")[1:-1]]
    path = ".".join(name for name, _, _ in cells)
    return f"{path} ({cells[-1][2]})" if cells and cells[-1][2] else path or "the network itself"
