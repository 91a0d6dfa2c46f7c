"""The views of an image that a protocol asks for, and the windows of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from src.schema.training import EvalConfig


@dataclass(frozen=True)
class Window:
    """A part of a view, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def inside(self) -> tuple:
        """The index of the part in maps [..., H, W]."""
        return np.s_[..., self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class View:
    """An image at one scale, mirrored or not."""

    size: tuple[int, int]
    flipped: bool
    windows: tuple[Window, ...]  # one for the whole view

    def images(self, image: np.ndarray) -> Iterator[np.ndarray]:
        """The windows of the view of an image fp32 [1, 3, h, w], each fp32 [1, 3, H, W]."""
        if image.shape[2:] != self.size:
            image = resize(image[0], self.size)[None]
        image = image[..., ::-1] if self.flipped else image
        for window in self.windows:
            yield np.ascontiguousarray(image[window.inside])


def views_of(size: Sequence[int], config: EvalConfig) -> list[View]:
    """The views of an image of ``size`` (h, w), in the order in which they are summed."""
    views = []
    for scale in config.scales:
        height, width = (round(side * scale) for side in size) if scale != 1.0 else size
        windows = _windows(height, width, config)
        views += [View((height, width), flipped, windows) for flipped in ((False, True) if config.flip else (False,))]
    return views


def runner_sizes(size: Sequence[int], config: EvalConfig) -> set[tuple[int, int]]:
    """Sizes (H, W) of what a runner gets of an image of ``size``."""
    return {(window.height, window.width) for view in views_of(size, config) for window in view.windows}


def together(config: EvalConfig) -> int:
    """Most images of one size that go through a runner at once."""
    return config.batch if config.mode == "slide" else min(config.batch, 1 + config.flip)


def _windows(height: int, width: int, config: EvalConfig) -> tuple[Window, ...]:
    if config.mode == "whole":
        return (Window(0, 0, height, width),)
    assert config.crop and config.stride  # the schema asks for both
    rows = window_starts(height, config.crop[0], config.stride[0])
    columns = window_starts(width, config.crop[1], config.stride[1])
    inside = min(config.crop[0], height), min(config.crop[1], width)
    return tuple(Window(top, left, *inside) for top in rows for left in columns)


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Where the windows along one side begin; the last one is shifted back inside the image."""
    if length <= window:
        return [0]
    return [min(start, length - window) for start in range(0, length - window + stride, stride)]


def resize(maps: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Bilinear, half-pixel centers, [C, h, w] -> [C, H, W]."""
    if maps.shape[1:] == tuple(size):
        return maps
    planes = [cv2.resize(plane, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) for plane in maps]
    return np.stack(planes)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the first axis."""
    exponentials = np.exp(logits - logits.max(axis=0))
    return exponentials / exponentials.sum(axis=0)
