"""Runners: one way to run a network, whether it comes from a checkpoint or from an exported file.

A runner is any function from a normalised image, fp32 [1, 3, h, w], to logits, fp32 [1, K, h, w].
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src import device
from src.engine.checkpoint import Checkpoint, load_checkpoint, load_network
from src.errors import UserError
from src.models import build_model
from src.schema import Config

Runner = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Model:
    """A runner with the classes it was trained on; None where a file does not tell them."""

    run: Runner
    classes: list[str] | None
    colors: list[list[int]] | None  # RGB, one per class


def open_model(config: Config, path: Path, fixed_size: bool, classes: list[str] | None = None) -> Model:
    """Open a ``.ckpt`` (through the config's model) or an exported ``.mindir``.

    Args:
        fixed_size: see `network_runner`.
        classes: class names of the data that will be run, if they are known.

    Raises:
        UserError: the file cannot be read, is of another model, or was trained on other classes.
    """
    if path.suffix == ".mindir":
        facts = read_description(path)
        known = _known_classes(path, facts, classes)
        runner = mindir_runner(path)
    else:
        checkpoint = load_checkpoint(path)
        facts = checkpoint.meta
        known = _known_classes(path, facts, classes)
        runner = network_runner(_load_network(config, path, checkpoint, known), fixed_size)
    return Model(_checked(runner, path, len(known)) if known else runner, known, facts.get("colors"))


def open_features(config: Config, path: Path, fixed_size: bool, classes: list[str] | None = None) -> Runner:
    """Open a ``.ckpt`` for its features: a function from an image to the map before the decoder's classifier.

    Arguments and errors are those of `open_model`; an exported file has no features.
    """
    if path.suffix == ".mindir":
        raise UserError(f"{path}: an exported file gives logits alone; features take the .ckpt it was made from")
    checkpoint = load_checkpoint(path)
    network = _load_network(config, path, checkpoint, _known_classes(path, checkpoint.meta, classes))
    return _run_cell(_Features(network), network, fixed_size)


def open_explanation(
    config: Config, path: Path, classes: list[str] | None = None
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Open a ``.ckpt`` for what happens inside its decoder: a function from an image to arrays by name.

    Raises:
        UserError: as of `open_model`; or the decoder has nothing to show.
    """
    if path.suffix == ".mindir":
        raise UserError(f"{path}: an exported file gives logits alone; --explain takes the .ckpt it was made from")
    checkpoint = load_checkpoint(path)
    network = _load_network(config, path, checkpoint, _known_classes(path, checkpoint.meta, classes))
    cell = _Explanation(network)

    def run(image: np.ndarray) -> dict[str, np.ndarray]:
        network.set_train(False)
        arrays = [array.asnumpy() for array in cell(Tensor(image))]
        device.keep_signal_handlers()
        return dict(zip(network.decoder.EXPLAINS, arrays, strict=False))  # an option may leave the last ones out

    return run


def _known_classes(path: Path, facts: dict, classes: list[str] | None) -> list[str] | None:
    """The classes that the file was trained on, or else those of the data; both are the same where both are known."""
    trained = facts.get("classes")
    if trained and classes and trained != list(classes):
        raise UserError(
            f"{path}: was trained on {len(trained)} classes ({', '.join(trained[:4])}, ...), "
            f"the data has {len(classes)} ({', '.join(classes[:4])}, ...); use the config it was trained with"
        )
    return trained or classes


def _load_network(config: Config, path: Path, checkpoint: Checkpoint, classes: list[str] | None) -> nn.Cell:
    if not classes:
        raise UserError(f"{path}: does not name its classes, because train.py did not write it")
    network = build_model(config.model, len(classes))
    load_network(network, checkpoint)
    return network


def description_file(path: Path) -> Path:
    """The JSON file beside an exported file that says what a deployer must know."""
    return path.with_suffix(path.suffix + ".json")


def read_description(path: Path) -> dict:
    """Read what `description_file` holds; empty if there is none."""
    try:
        return json.loads(description_file(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise UserError(f"{description_file(path)} is damaged; export the model again, or remove it") from None


def _checked(runner: Runner, path: Path, num_classes: int) -> Runner:
    def run(image: np.ndarray) -> np.ndarray:
        logits = runner(image)
        if logits.shape[1] != num_classes:
            raise UserError(f"{path}: predicts {logits.shape[1]} classes, expected {num_classes}")
        return logits

    return run


def network_runner(network: nn.Cell, fixed_size: bool = True) -> Runner:
    """Run a network in evaluation mode.

    Args:
        fixed_size: all images have one size. Otherwise the network is compiled once for any size instead of anew
            for each, with the slower operators that this takes; not every backbone can (Swin and MiT cannot).
    """
    return _run_cell(_Evaluation(network), network, fixed_size)


def _run_cell(cell: nn.Cell, network: nn.Cell, fixed_size: bool) -> Runner:
    if not fixed_size and getattr(network.backbone, "any_shape", False):
        cell.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32))

    def run(image: np.ndarray) -> np.ndarray:
        network.set_train(False)
        result = cell(Tensor(image)).asnumpy()
        device.keep_signal_handlers()
        return result

    return run


class _Evaluation(nn.Cell):
    """A network in a cell of its own, so that ``set_inputs`` does not reach the training graph."""

    def __init__(self, network: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, image):
        """image [B, 3, H, W] -> logits [B, K, H, W]."""
        return self.network(image)


class _Explanation(nn.Cell):
    """What the decoder of a network has to show, compiled as in `_Evaluation`."""

    def __init__(self, network: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, image):
        """image [B, 3, H, W] -> the decoder's ``EXPLAINS``."""
        return self.network.decoder.explain(self.network.backbone(image))


class _Features(nn.Cell):
    """The features of a network, compiled as in `_Evaluation`."""

    def __init__(self, network: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, image):
        """image [B, 3, H, W] -> the map before the classifier [B, D, h, w]."""
        return self.network.decoder.embed(self.network.backbone(image))


def mindir_runner(path: Path) -> Runner:
    """Run an exported MINDIR, whose size and batch are fixed; a batch is filled with copies of the image.

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
        batch = np.repeat(image, shape[0], axis=0)
        return cell(Tensor(batch)).asnumpy()[:1]

    return run


def mindir_input_shape(path: Path) -> tuple[int, int, int, int]:
    """Read the shape of a MINDIR's only input without loading its graph."""
    from mindspore.train.mind_ir_pb2 import ModelProto

    model = ModelProto()
    model.ParseFromString(path.read_bytes())
    (image,) = model.graph.input
    batch, channels, height, width = image.tensor[0].dims
    return batch, channels, height, width
