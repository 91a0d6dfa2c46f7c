"""Exported files: how to run one, and the description beside it."""

import json
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.errors import UserError

# Normalized images, fp32 [B, 3, h, w] -> logits, fp32 [B, K, h, w]; B is 1, or up to the `batch` that the runner has.
Runner = Callable[[np.ndarray], np.ndarray]


def description_file(path: Path) -> Path:
    """The JSON file beside an exported file: input, normalization, classes."""
    return path.with_suffix(path.suffix + ".json")


def read_description(path: Path) -> dict:
    """Read the `description_file`; empty if there is none."""
    try:
        facts = json.loads(description_file(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise UserError(f"{description_file(path)} is damaged; export the model again, or remove it")
    return facts


def mindir_runner(path: Path) -> Runner:
    """Run an exported MINDIR, whose size and batch are fixed; a batch is filled with copies of the last image.

    Raises:
        UserError: the file is missing or not a MINDIR of one image input.
    """
    if not path.is_file():
        raise UserError(f"checkpoint not found: {path}")
    try:
        shape = mindir_input_shape(path)
        cell = nn.GraphCell(ms.load(str(path)))
    except Exception as error:  # the reader raises whatever the damaged bytes lead to
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: not a readable MINDIR ({reason}); export it again") from None

    def run(image: np.ndarray) -> np.ndarray:
        if image.shape[2:] != shape[2:]:
            raise UserError(
                f"{path} takes images of {shape[2]}x{shape[3]}, found {image.shape[2]}x{image.shape[3]}; "
                f"export it with --size {image.shape[2]} {image.shape[3]}, or evaluate with "
                f"--set eval.mode=slide --set eval.crop=[{shape[2]},{shape[3]}] and an eval.stride"
            )
        batch = np.concatenate([image, np.repeat(image[-1:], shape[0] - len(image), axis=0)])
        return cell(Tensor(batch)).asnumpy()[: len(image)]

    run.batch = shape[0]  # type: ignore[attr-defined]  # a function has no fields of its own
    return run


def mindir_input_shape(path: Path) -> tuple[int, int, int, int]:
    """Read the shape of a MINDIR's only input without loading its graph."""
    from mindspore.train.mind_ir_pb2 import ModelProto

    model = ModelProto()
    model.ParseFromString(path.read_bytes())
    (image,) = model.graph.input
    batch, channels, height, width = image.tensor[0].dims
    return batch, channels, height, width
