"""From an image to class scores: whole or sliding window, one or several scales, with or without flip.

The protocol is that of ECENet's release (and of the field): logits of overlapping windows are summed and
divided by the number of windows over each pixel; views are averaged as probabilities.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from src.inference.exported import Runner
from src.schema.training import EvalConfig


def predict(runner: Runner, image: np.ndarray, config: EvalConfig, size: Sequence[int]) -> np.ndarray:
    """Return the class of each pixel, uint8 [H, W], for ``size`` = (H, W).

    Args:
        image: normalized, fp32 [1, 3, h, w].
        config: mode, window, scales and flip.
    """
    return _scores(runner, image, config, size).argmax(axis=0).astype(np.uint8)


def probabilities(runner: Runner, image: np.ndarray, config: EvalConfig, size: Sequence[int]) -> np.ndarray:
    """Return the probabilities of the classes at each pixel, fp32 [K, H, W]; arguments as in `predict`."""
    scores = _scores(runner, image, config, size)
    return _softmax(scores) if _is_plain(config) else scores / (len(config.scales) * (1 + config.flip))


def _scores(runner: Runner, image: np.ndarray, config: EvalConfig, size: Sequence[int]) -> np.ndarray:
    """Logits of the only view, or the sum of the views' probabilities; [K, H, W]."""
    plain = _is_plain(config)
    total = np.zeros((), np.float32)  # takes the shape [K, H, W] of what is added
    for scale in config.scales:
        for flipped in (False, True) if config.flip else (False,):
            view = _view(image, scale, flipped)
            logits = _slide(runner, view, config) if config.mode == "slide" else runner(view)[0]
            logits = _resize(logits[..., ::-1] if flipped else logits, size)
            total = logits if plain else total + _softmax(logits)
    return total


def _is_plain(config: EvalConfig) -> bool:
    """Whether there is one view alone, whose logits need no average."""
    return config.scales == [1.0] and not config.flip


def _view(image: np.ndarray, scale: float, flipped: bool) -> np.ndarray:
    if scale != 1.0:
        height, width = (round(side * scale) for side in image.shape[2:])
        image = _resize(image[0], (height, width))[None]
    return np.ascontiguousarray(image[..., ::-1]) if flipped else image


def _slide(runner: Runner, image: np.ndarray, config: EvalConfig) -> np.ndarray:
    """Mean of the logits of all windows over each pixel, [K, h, w]."""
    assert config.crop and config.stride  # the schema asks for both
    height, width = image.shape[2:]
    rows = window_starts(height, config.crop[0], config.stride[0])
    columns = window_starts(width, config.crop[1], config.stride[1])
    total = np.zeros((0, height, width), np.float32)  # the first logits tell the number of classes
    count = np.zeros((height, width), np.float32)
    for top in rows:
        for left in columns:
            window = np.s_[..., top : top + config.crop[0], left : left + config.crop[1]]
            logits = runner(np.ascontiguousarray(image[window]))[0]
            if not len(total):
                total = np.zeros((logits.shape[0], height, width), np.float32)
            total[window] += logits
            count[window] += 1
    return total / count


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Where the windows along one side begin; the last one is shifted back inside the image."""
    if length <= window:
        return [0]
    return [min(start, length - window) for start in range(0, length - window + stride, stride)]


def _resize(maps: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Bilinear, half-pixel centers, [C, h, w] -> [C, H, W]."""
    if maps.shape[1:] == tuple(size):
        return maps
    planes = [cv2.resize(plane, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) for plane in maps]
    return np.stack(planes)


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=0))
    return exponentials / exponentials.sum(axis=0)


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
