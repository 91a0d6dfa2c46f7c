"""Runners: one way to run a network, whether it comes from a checkpoint or from an exported file.

A runner is any function from a normalized image, fp32 [1, 3, h, w], to logits, fp32 [1, K, h, w]. `NetworkRunner` can
do more, and `src.inference.protocol` uses that where it is there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src import device
from src.checkpoint import load_checkpoint, load_network
from src.errors import UserError, did_you_mean
from src.inference.canvas import CanvasBackbone, Canvases, any_shape
from src.inference.exported import SUFFIXES, Runner, exported_runner, read_description
from src.inference.views import together
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
    runner: Runner
    if path.suffix in SUFFIXES:
        facts, network = read_description(path), None
        known = _known_classes(path, facts, classes)
        run = exported_runner(path)
        ids = getattr(run, "gives_ids", False)
        runner = ExportedIds(run, path) if ids else ExportedRunner(run, path, len(known) if known else None)
    else:
        checkpoint = load_checkpoint(path)
        facts = checkpoint.meta
        known = _known_classes(path, facts, classes)
        if not known:
            raise UserError(f"{path}: does not name its classes; give a checkpoint that train.py wrote")
        network = build_model(config.model, len(known))
        load_network(network, checkpoint)
        runner = network_runner(network, fixed_size, len(known), together(config.eval))
    return Model(runner, known, facts.get("colors"), network)


def _known_classes(path: Path, facts: dict, classes: list[str] | None) -> list[str] | None:
    """The classes that the file was trained on, or else those of the data; both are the same where both are known."""
    trained = facts.get("classes")
    if trained and classes and trained != list(classes):
        raise UserError(
            f"{path}: was trained on {len(trained)} classes ({', '.join(trained[:4])}, ...), "
            f"the data has {len(classes)} ({', '.join(classes[:4])}, ...); use the config it was trained with"
        )
    return trained or classes


class ExportedRunner:
    """Runs an exported file and checks the number of classes.

    Attributes:
        batch: most images in one call.
        num_classes: K; None where nothing tells it.
    """

    def __init__(self, run: Runner, path: Path, num_classes: int | None):
        self.run, self.path, self.num_classes = run, path, num_classes
        self.batch: int = getattr(run, "batch", 1)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images [B, 3, h, w], B up to `batch` -> logits [B, K, h, w]."""
        logits = self.run(images)
        if self.num_classes and logits.shape[1] != self.num_classes:
            raise UserError(f"{self.path}: predicts {logits.shape[1]} classes, expected {self.num_classes}")
        return logits


class ExportedIds:
    """Runs an exported file that gives class ids, which `src.inference.protocol` takes for whole images of its size.

    Attributes:
        batch: most images in one call.
        ids: images -> the class of each pixel, uint8 [B, h, w].
    """

    def __init__(self, run: Callable[[np.ndarray], np.ndarray], path: Path):
        self.ids, self.path = run, path
        self.batch: int = getattr(run, "batch", 1)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Always raises UserError: there are no logits."""
        raise UserError(
            f"{self.path}: gives class ids, and logits are needed for windows, scales, flip, probabilities and labels "
            "of another size than the image; use an export without --ids"
        )


class NetworkRunner:
    """Runs a network in evaluation mode.

    Args:
        fixed_size: all images have one size. Otherwise the network is compiled once for any size instead of anew
            for each, with the slower operators that this takes; backbones that cannot do this (Swin, MiT) are compiled
            for a few canvases (`src.inference.canvas`).
        num_classes: K, for `src.inference.protocol` to tell how much memory logits take.
        batch: most images in one call; on canvases a smaller one takes as long.
        wrap: makes a function of images do something else besides.

    Attributes:
        coarse: images -> logits at the decoder's stride, fp32 [B, K, h', w'], before they are resized to the image.
        ids: images -> the class of each pixel, uint8 [B, h, w]; no logits leave the graph.
        needs_sizes: whether `plan` saves compilations.
    """

    def __init__(
        self,
        network: nn.Cell,
        fixed_size: bool = True,
        num_classes: int | None = None,
        batch: int = 1,
        wrap: Callable[[Callable], Callable] = lambda function: function,
    ):
        self.num_classes, self.batch = num_classes, batch
        self.canvases = Canvases()
        self.needs_sizes = not fixed_size and _has_canvas(network.backbone)
        # One for all, as it is what takes long to compile.
        on_canvas = CanvasBackbone(network.backbone, self.canvases, batch)
        self._logits, self.coarse, self.ids = (
            wrap(_run(head, network, fixed_size, on_canvas)) for head in (_Logits, _Coarse, _Ids)
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images fp32 [B, 3, h, w], B up to `batch` -> logits fp32 [B, K, h, w]."""
        return self._logits(images)

    def plan(self, sizes: Iterable[tuple[int, int]]) -> None:
        """Prepare for images of these sizes (H, W), so that as few graphs as possible are compiled."""
        self.canvases.plan(sizes)


network_runner = NetworkRunner  # the name of the other functions that make a runner


def features_runner(network: nn.Cell, fixed_size: bool = True, name: str = CLASSIFIER) -> Runner:
    """As `network_runner`, for a feature map, fp32 [1, D, h', w'].

    Args:
        name: ``classifier`` for the map before the decoder's classifier, or one of the decoder's ``EXPLAINS``.

    Raises:
        UserError: the decoder has nothing of that name; or, from the runner, it is not a feature map.
    """
    if name == CLASSIFIER:
        return _run(_Features, network, fixed_size)
    names = getattr(network.decoder, "EXPLAINS", ())
    if name not in names:
        valid = (CLASSIFIER, *names)
        hint = did_you_mean(name, valid)
        raise UserError(f"features: this decoder has no '{name}'{hint} (valid: {', '.join(valid)})")
    explain = _run(_Explanation, network, fixed_size)

    def run(image: np.ndarray) -> np.ndarray:
        shown = dict(zip(names, explain(image), strict=False))  # an option may leave the last ones out
        if name not in shown or shown[name].ndim != 4 or len(shown[name]) != 1:
            raise UserError(f"features: '{name}' is not a feature map [1, D, h, w] of this network; use {CLASSIFIER}")
        return shown[name]

    return run


def deepest_map_runner(network: nn.Cell, fixed_size: bool = True) -> Runner:
    """As `network_runner`, for the backbone's deepest map, fp32 [1, C, h', w']."""
    return _run(_DeepestMap, network, fixed_size)


def explanation_runner(network: nn.Cell) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """From an image as in `network_runner` to the arrays that the decoder has to show, by name."""
    names = network.decoder.EXPLAINS
    run = _run(_Explanation, network, fixed_size=True)
    return lambda image: dict(zip(names, run(image), strict=False))  # an option may leave the last ones out


def _run(
    head: type["_Head"], network: nn.Cell, fixed_size: bool, canvas_backbone: CanvasBackbone | None = None
) -> Callable:
    """A function from images to what ``head`` makes of the backbone's maps; one array, or a list of arrays."""
    backbone, last, on_canvas = network.backbone, head(network), None
    cell: nn.Cell = _Whole(backbone, last)
    if not fixed_size and getattr(backbone, "any_shape", False):
        cell.set_inputs(*any_shape(3))
    elif not fixed_size and _has_canvas(backbone) and head.any_shape:
        cell = last
        cell.set_inputs(*any_shape(3, *backbone.out_channels))
        on_canvas = canvas_backbone or CanvasBackbone(backbone, Canvases())

    def run(images: np.ndarray) -> np.ndarray | list[np.ndarray]:
        check_image_size(*images.shape[2:])
        network.set_train(False)
        result = cell(Tensor(images), *(on_canvas(images) if on_canvas else ()))
        result = result.asnumpy() if isinstance(result, Tensor) else [one.asnumpy() for one in result]
        device.keep_signal_handlers()
        return result

    return run


def _has_canvas(backbone: nn.Cell) -> bool:
    return not getattr(backbone, "any_shape", False) and hasattr(backbone, "canvas_tables")


def check_image_size(height: int, width: int) -> None:
    """Refuse an image that no backbone takes.

    Raises:
        UserError: a side is below 32 pixels.
    """
    if min(height, width) < MIN_SIZE:
        raise UserError(f"an image of {height}x{width} is too small: the network needs at least {MIN_SIZE} a side")


class _Whole(nn.Cell):
    """Backbone and head in a cell of its own, so that ``set_inputs`` does not reach the training graph."""

    def __init__(self, backbone: nn.Cell, head: nn.Cell):
        super().__init__(auto_prefix=False)
        self.backbone, self.head = backbone, head

    def construct(self, image):
        """image [B, 3, H, W] -> what the head makes of it."""
        return self.head(image, *self.backbone(image))


class _Head(nn.Cell):
    """From an image [B, 3, H, W], of which the size alone counts, and its four maps to a result."""

    any_shape = True  # it can be compiled once for maps of any size

    def __init__(self, network: nn.Cell):
        super().__init__(auto_prefix=False)
        self.network, self.decoder = network, network.decoder


class _Logits(_Head):
    def construct(self, image, *features):
        """-> logits [B, K, H, W]."""
        return self.network.segment(features, image)


class _Coarse(_Head):
    def construct(self, image, *features):
        """-> logits [B, K, h, w] of the decoder's own size."""
        return self.decoder(features)


class _Ids(_Head):
    def construct(self, image, *features):
        """-> classes uint8 [B, H, W]."""
        return ops.argmax(self.network.segment(features, image), 1).astype(ms.uint8)


class _DeepestMap(_Head):
    def construct(self, image, *features):
        """-> the backbone's deepest map [B, C, h, w]."""
        return features[3]


class _Explanation(_Head):
    any_shape = False  # decoders read the sizes of the maps while they are compiled

    def construct(self, image, *features):
        """-> the decoder's ``EXPLAINS``."""
        return self.decoder.explain(features)


class _Features(_Head):
    def construct(self, image, *features):
        """-> the map before the classifier [B, D, H, W]."""
        return self.decoder.embed(features)
