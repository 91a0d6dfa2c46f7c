"""Exported files: how to run one, and the description beside it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.errors import UserError

# Normalized images, fp32 [B, 3, h, w] -> logits, fp32 [B, K, h, w]; B is 1, or up to the `batch` that the runner has.
Runner = Callable[[np.ndarray], np.ndarray]
SUFFIXES = (".mindir", ".onnx")  # of the files that can be run here
ANY_BATCH = 8  # most images in one call of a file that takes any number


@dataclass(frozen=True)
class ExportedFile:
    """An exported file, loaded.

    Attributes:
        shape: of the input, NCHW, or NHWC for colors; None as the first if it takes any number of images.
        takes_colors: the input is RGB bytes, not a normalized image.
        gives_ids: the output is the class of each pixel, not logits.
        run: from an array of this shape to the output.
    """

    shape: tuple[int | None, ...]
    takes_colors: bool
    gives_ids: bool
    run: Callable[[np.ndarray], np.ndarray]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        height, width = self.shape[1:3] if self.takes_colors else self.shape[2:]
        assert height and width
        return height, width


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


def open_exported(path: Path) -> ExportedFile:
    """Load an exported MINDIR or ONNX file.

    Raises:
        UserError: the file is missing or not a model of one image input, or onnxruntime is missing.
    """
    if not path.is_file():
        raise UserError(f"checkpoint not found: {path}")
    onnx = path.suffix == ".onnx"
    kind = "ONNX file" if onnx else "MINDIR"
    if onnx:
        require_onnx(str(path))
    try:
        return _open_onnx(path) if onnx else _open_mindir(path)
    except Exception as error:  # the reader raises whatever the damaged bytes lead to
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: not a readable {kind} ({reason}); export it again") from None


def require_onnx(what: str) -> None:
    """Refuse ``what`` where the packages of the extra `onnx` are missing.

    Raises:
        UserError: they are.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(f"{what}: needs the package {error.name}: pip install -r requirements-onnx.txt") from None


def exported_runner(path: Path) -> Runner:
    """Run an exported file on normalized images; a fixed batch is filled with copies of the image.

    A file that takes colors gets those that the normalized image was made of, rounded to whole levels. A runner whose
    ``gives_ids`` is true returns class ids, uint8 [B, h, w], instead of logits.

    Raises:
        UserError: as `open_exported`; or, from the runner, the image has another size.
    """
    file = open_exported(path)
    prepare = _colors(path) if file.takes_colors else None
    height, width = file.size

    def run(image: np.ndarray) -> np.ndarray:
        if image.shape[2:] != (height, width):
            raise UserError(
                f"{path} takes images of {height}x{width}, found {image.shape[2]}x{image.shape[3]}; "
                f"export it with --size {image.shape[2]} {image.shape[3]}, or evaluate with "
                f"--set eval.mode=slide --set eval.crop=[{height},{width}] and an eval.stride"
            )
        images = prepare(image) if prepare else image
        if file.shape[0]:
            images = np.concatenate([images, np.repeat(images[-1:], file.shape[0] - len(image), axis=0)])
        return file.run(images)[: len(image)]

    run.batch = file.shape[0] or ANY_BATCH  # type: ignore[attr-defined]  # a function has no fields of its own
    run.gives_ids = file.gives_ids  # type: ignore[attr-defined]
    return run


def _colors(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """From normalized images [B, 3, h, w] back to RGB bytes [B, h, w, 3]."""
    try:
        normalize = read_description(path)["normalize"]
        mean, std = (np.array(normalize[key], np.float32).reshape(3, 1, 1) for key in ("mean", "std"))
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{description_file(path)}: expected normalize with mean and std of three channels; export the model again"
        ) from None
    return lambda image: (image * std + mean).round().clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def _open_onnx(path: Path) -> ExportedFile:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (image,), (output,) = session.get_inputs(), session.get_outputs()
    shape = tuple(side if isinstance(side, int) else None for side in image.shape)
    colors, ids = image.type == "tensor(uint8)", output.type != "tensor(float)"
    return ExportedFile(shape, colors, ids, lambda images: session.run(None, {image.name: images})[0])


def _open_mindir(path: Path) -> ExportedFile:
    from mindspore.train.mind_ir_pb2 import ModelProto, TensorProto

    model = ModelProto()
    model.ParseFromString(path.read_bytes())
    (image,), (output,) = model.graph.input, model.graph.output
    colors = image.tensor[0].data_type == TensorProto.UINT8
    ids = output.tensor[0].data_type != TensorProto.FLOAT
    batch, *sides = image.tensor[0].dims
    cell = nn.GraphCell(ms.load(str(path)))
    return ExportedFile((batch, *sides), colors, ids, lambda images: cell(Tensor(images)).asnumpy())
