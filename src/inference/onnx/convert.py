"""Translate a MINDIR into an ONNX model, which ``onnx.checker`` has checked."""

from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from src.errors import UserError
from src.inference.onnx.batch import free_batch
from src.inference.onnx.builder import Builder, Value
from src.inference.onnx.mindir import Graph, read_mindir
from src.inference.onnx.operators import OPERATORS
from src.inference.onnx.simplify import simplify

OPSET = 17  # the first with LayerNormalization; newer ones are read by fewer programs
IR_VERSION = 8  # the file format that belongs to it
IMAGE = "image"


def convert(path: Path, output: str, twin: Path | None = None) -> onnx.ModelProto:
    """Translate the MINDIR ``path``.

    Args:
        output: name of the result in the ONNX model; the input is named `IMAGE`.
        twin: the same network for another batch size, if the model is to take any; both sizes are `batch.SIZES`.

    Raises:
        UserError: the graph has an operator that has no ONNX form here, or the batch size cannot be freed.
    """
    graph = read_mindir(path)
    builder = _translate(graph, output)
    image = Value(IMAGE, graph.input_shape)
    last = graph.nodes[graph.output]
    batch: int | str = graph.input_shape[0]
    if twin:
        free_batch(builder, _translate(read_mindir(twin), output), image)
        batch = "batch"
    model = helper.make_model(
        helper.make_graph(
            builder.nodes,
            "segmentation",
            [helper.make_tensor_value_info(IMAGE, graph.input_type, [batch, *image.shape[1:]])],
            [helper.make_tensor_value_info(output, last.types[0], [batch, *last.shapes[0][1:]])],
            builder.initializers(),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mindspore-class-centric-segmentation",
    )
    # Viewers show the shapes that the inference adds.
    model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    onnx.checker.check_model(model, full_check=True)
    return model


def _translate(graph: Graph, output: str) -> Builder:
    builder = Builder()
    result = _values(graph, builder)[graph.output].name
    simplify(builder, result)
    _rename(builder, result, output)
    return builder


def _rename(builder: Builder, old: str, new: str) -> None:
    for node in builder.nodes:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def _values(graph: Graph, builder: Builder) -> dict[str, Any]:
    """The value of everything in the graph that the output needs."""
    values: dict[str, Any] = {**graph.constants, graph.input: Value(IMAGE, graph.input_shape)}
    for name, array in graph.parameters.items():
        values[name] = array
        builder.constant(array, name.rpartition(":")[2])
    needed = _needed(graph)
    for name, node in graph.nodes.items():
        if name not in needed:
            continue
        if node.primitive not in OPERATORS:
            raise UserError(
                f"--format ONNX: no ONNX form is known for the operator {node.primitive} in "
                f"{node.scope or 'the network'}; use --format MINDIR, or add it to src/inference/onnx/operators.py"
            )
        builder.scope = node.scope
        value = OPERATORS[node.primitive](builder, node, *(values.get(source) for source in node.inputs))
        values[name] = _with_shapes(value, node.shapes)
    return values


def _with_shapes(value: Any, shapes: list[tuple[int, ...]]) -> Any:
    if isinstance(value, list):
        return [_with_shapes(one, [shape]) for one, shape in zip(value, shapes, strict=False)]
    return Value(value.name, shapes[0]) if isinstance(value, Value) else value


def _needed(graph: Graph) -> set[str]:
    """Names of the nodes that the output needs; nodes that only order effects are not among them."""
    needed = {graph.output}
    for name, node in reversed(graph.nodes.items()):
        if name in needed:
            needed.update(node.inputs[:1] if node.primitive in ("Load", "Depend") else node.inputs)
    return needed
