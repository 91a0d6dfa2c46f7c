"""From an image to class scores: whole or sliding window, one or several scales, with or without flip.

The protocol is that of ECENet's release (and of the field): logits of overlapping windows are summed and
divided by the number of windows over each pixel; views are averaged as probabilities.

Memory: where the image's own size is asked for, without windows or further views, the graph gives class ids and no
logits leave it. Otherwise logits [K, H, W] are summed on the host, as long as they take at most `LOGITS_BYTES` each.
Above that, the image is put together from strips of rows (`src.inference.strips`).
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from src.inference.exported import Runner
from src.inference.strips import predict_by_strips
from src.inference.views import View, resize, softmax, views_of
from src.schema.training import EvalConfig

LOGITS_BYTES = 1 << 30


def predict(runner: Runner, image: np.ndarray, config: EvalConfig, size: Sequence[int]) -> np.ndarray:
    """Return the class of each pixel, uint8 [H, W], for ``size`` = (H, W).

    Args:
        image: normalized, fp32 [1, 3, h, w].
        config: mode, window, scales and flip.
    """
    views, plain = views_of(image.shape[2:], config), _is_plain(config)
    if _is_large([size, *(view.size for view in views)], getattr(runner, "num_classes", None)):
        return predict_by_strips(_parts(runner, views, image, config), size, plain)
    if plain and config.mode == "whole" and tuple(size) == image.shape[2:] and hasattr(runner, "ids"):
        return runner.ids(image)[0]
    return _scores(runner, image, config, size).argmax(axis=0).astype(np.uint8)


def probabilities(runner: Runner, image: np.ndarray, config: EvalConfig, size: Sequence[int]) -> np.ndarray:
    """Return the probabilities of the classes at each pixel, fp32 [K, H, W]; arguments as in `predict`."""
    scores = _scores(runner, image, config, size)
    return softmax(scores) if _is_plain(config) else scores / (len(config.scales) * (1 + config.flip))


def _scores(runner: Runner, image: np.ndarray, config: EvalConfig, size: Sequence[int]) -> np.ndarray:
    """Logits of the only view, or the sum of the views' probabilities; [K, H, W]."""
    views, plain = views_of(image.shape[2:], config), _is_plain(config)
    outputs = _outputs(runner, views, image, config)
    total = np.zeros((), np.float32)  # takes the shape [K, H, W] of what is added
    for view in views:
        logits = _join(view, outputs)
        logits = resize(logits[..., ::-1] if view.flipped else logits, size)
        total = logits if plain else total + softmax(logits)
    return total


def _outputs(runner: Runner, views: list[View], image: np.ndarray, config: EvalConfig) -> Iterator[np.ndarray]:
    """Logits of all windows of all views, in their order."""
    windows = (window for view in views for window in view.images(image))
    return batched(runner, windows, min(config.batch, getattr(runner, "batch", 1)))


def _is_plain(config: EvalConfig) -> bool:
    """Whether there is one view alone, whose logits need no average."""
    return config.scales == [1.0] and not config.flip


def batched(runner: Runner, images: Iterable[np.ndarray], most: int) -> Iterator[np.ndarray]:
    """Logits [K, h, w] of each of ``images``, fp32 [1, 3, h, w], in their order.

    Up to ``most`` neighbors of one size go through the runner at once. After a full batch a smaller one of that size is
    filled with copies, because another number of images may mean another graph.
    """
    waiting: list[np.ndarray] = []
    full: set[tuple[int, ...]] = set()
    for image in images:
        if waiting and (len(waiting) == most or image.shape != waiting[0].shape):
            yield from _run(runner, waiting, most, full)
            waiting = []
        waiting.append(image)
    if waiting:
        yield from _run(runner, waiting, most, full)


def _run(runner: Runner, images: list[np.ndarray], most: int, full: set) -> np.ndarray:
    count, shape = len(images), images[0].shape
    if count == most:
        full.add(shape)
    elif shape in full:
        images = images + [images[-1]] * (most - count)
    return runner(np.concatenate(images) if len(images) > 1 else images[0])[:count]


def _parts(
    runner: Runner, views: list[View], image: np.ndarray, config: EvalConfig
) -> list[tuple[View, Iterable[np.ndarray]]]:
    """For `predict_by_strips`: coarse logits of all views, or where there are none, full ones that come when needed."""
    if not hasattr(runner, "coarse"):
        return [(view, _outputs(runner, [view], image, config)) for view in views]
    outputs = _outputs(runner.coarse, views, image, config)
    return [(view, [next(outputs) for _ in view.windows]) for view in views]


def _join(view: View, outputs: Iterator[np.ndarray]) -> np.ndarray:
    """Mean of the logits of all windows over each pixel, [K, h, w]."""
    if len(view.windows) == 1:
        return next(outputs)
    total = np.zeros((0, *view.size), np.float32)  # the first logits tell the number of classes
    count = np.zeros(view.size, np.float32)
    for window in view.windows:
        logits = next(outputs)
        if not len(total):
            total = np.zeros((logits.shape[0], *view.size), np.float32)
        total[window.inside] += logits
        count[window.inside] += 1
    return total / count


def _is_large(sizes: Iterable[Sequence[int]], num_classes: int | None) -> bool:
    """Whether logits of one of these sizes take more than `LOGITS_BYTES`; not known without the number of classes."""
    return num_classes is not None and max(4 * num_classes * h * w for h, w in sizes) > LOGITS_BYTES


def describe(config: EvalConfig) -> str:
    """The protocol in a few words, for example ``slide 640x640 stride 608, scales 0.75 1.0, flip``."""
    words = "whole"
    if config.mode == "slide":
        assert config.crop and config.stride
        window = "x".join(map(str, config.crop))
        words = f"slide {window} stride {'x'.join(map(str, config.stride))}"
    if config.scales != [1.0]:
        words += f", scales {' '.join(map(str, config.scales))}"
    return words + (", flip" if config.flip else "")
