"""Runners: one way to run a network, whether it comes from a checkpoint or from an exported file.

A runner is any function from a normalized image, fp32 [1, 3, h, w], to logits, fp32 [1, K, h, w].
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src import device
from src.checkpoint import load_checkpoint, load_network
from src.errors import UserError, did_you_mean
from src.inference.exported import SUFFIXES, Runner, exported_runner, read_description
from src.models import build_model
from src.models.layers.image_size import MIN_SIZE
from src.schema import Config

CLASSIFIER = "classifier"  # name of the features before a decoder's classifier


@dataclass(frozen=True)
class Model:
    """A runner with the classes it was trained on; None where a file does not tell them."""

    run: Runner
    classes: list[str] | None
    colors: list[list[int]] | None  # RGB, one per class
    network: nn.Cell | None  # None for an exported file, which gives logits alone


def open_model(config: Config, path: Path, fixed_size: bool, classes: list[str] | None = None) -> Model:
    """Open a ``.ckpt`` (through the config's model) or an exported file.

    Args:
        fixed_size: see `network_runner`.
        classes: class names of the data that will be run, if they are known.

    Raises:
        UserError: the file cannot be read, is of another model, or was trained on other classes.
    """
    if path.suffix in SUFFIXES:
        facts, network = read_description(path), None
        known = _known_classes(path, facts, classes)
        runner = exported_runner(path)
    else:
        checkpoint = load_checkpoint(path)
        facts = checkpoint.meta
        known = _known_classes(path, facts, classes)
        if not known:
            raise UserError(f"{path}: does not name its classes; give a checkpoint that train.py wrote")
        network = build_model(config.model, len(known))
        load_network(network, checkpoint)
        runner = network_runner(network, fixed_size)
    return Model(_checked(runner, path, len(known)) if known else runner, known, facts.get("colors"), network)


def _known_classes(path: Path, facts: dict, classes: list[str] | None) -> list[str] | None:
    """The classes that the file was trained on, or else those of the data; both are the same where both are known."""
    trained = facts.get("classes")
    if trained and classes and trained != list(classes):
        raise UserError(
            f"{path}: was trained on {len(trained)} classes ({', '.join(trained[:4])}, ...), "
            f"the data has {len(classes)} ({', '.join(classes[:4])}, ...); use the config it was trained with"
        )
    return trained or classes


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


def features_runner(network: nn.Cell, fixed_size: bool = True, name: str = CLASSIFIER) -> Runner:
    """As `network_runner`, for a feature map, fp32 [1, D, h', w'].

    Args:
        name: ``classifier`` for the map before the decoder's classifier, or one of the decoder's ``EXPLAINS``.

    Raises:
        UserError: the decoder has nothing of that name; or, from the runner, it is not a feature map.
    """
    if name == CLASSIFIER:
        return _run_cell(_Features(network), network, fixed_size)
    names = getattr(network.decoder, "EXPLAINS", ())
    if name not in names:
        valid = (CLASSIFIER, *names)
        hint = did_you_mean(name, valid)
        raise UserError(f"features: this decoder has no '{name}'{hint} (valid: {', '.join(valid)})")
    explain = _run_cell(_Explanation(network), network, fixed_size)

    def run(image: np.ndarray) -> np.ndarray:
        shown = dict(zip(names, explain(image), strict=False))  # an option may leave the last ones out
        if name not in shown or shown[name].ndim != 4 or len(shown[name]) != 1:
            raise UserError(f"features: '{name}' is not a feature map [1, D, h, w] of this network; use {CLASSIFIER}")
        return shown[name]

    return run


def deepest_map_runner(network: nn.Cell, fixed_size: bool = True) -> Runner:
    """As `network_runner`, for the backbone's deepest map, fp32 [1, C, h', w']."""
    return _run_cell(_DeepestMap(network), network, fixed_size)


def explanation_runner(network: nn.Cell) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """From an image as in `network_runner` to the arrays that the decoder has to show, by name."""
    names = network.decoder.EXPLAINS
    run = _run_cell(_Explanation(network), network, fixed_size=True)
    return lambda image: dict(zip(names, run(image), strict=False))  # an option may leave the last ones out


def _run_cell(cell: nn.Cell, network: nn.Cell, fixed_size: bool) -> Callable:
    if not fixed_size and getattr(network.backbone, "any_shape", False):
        cell.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32))

    def run(image: np.ndarray) -> np.ndarray | list[np.ndarray]:
        check_image_size(*image.shape[2:])
        network.set_train(False)
        result = cell(Tensor(image))
        result = result.asnumpy() if isinstance(result, Tensor) else [one.asnumpy() for one in result]
        device.keep_signal_handlers()
        return result

    return run


def check_image_size(height: int, width: int) -> None:
    """Refuse an image that no backbone takes.

    Raises:
        UserError: a side is below 32 pixels.
    """
    if min(height, width) < MIN_SIZE:
        raise UserError(f"an image of {height}x{width} is too small: the network needs at least {MIN_SIZE} a side")


class _OfNetwork(nn.Cell):
    """A network in a cell of its own, so that ``set_inputs`` does not reach the training graph."""

    def __init__(self, network: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network = network


class _Evaluation(_OfNetwork):
    def construct(self, image):
        """image [B, 3, H, W] -> logits [B, K, H, W]."""
        return self.network(image)


class _DeepestMap(_OfNetwork):
    def construct(self, image):
        """image [B, 3, H, W] -> the backbone's deepest map [B, C, h, w]."""
        return self.network.backbone(image)[3]


class _Explanation(_OfNetwork):
    def construct(self, image):
        """image [B, 3, H, W] -> the decoder's ``EXPLAINS``."""
        return self.network.decoder.explain(self.network.backbone(image))


class _Features(_OfNetwork):
    def construct(self, image):
        """image [B, 3, H, W] -> the map before the classifier [B, D, h, w]."""
        return self.network.decoder.embed(self.network.backbone(image))
