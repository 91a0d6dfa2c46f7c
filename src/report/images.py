"""Class maps in color, and image files. RGB throughout."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from src.files import write_bytes

IGNORED = (0, 0, 0)  # color of pixels without a class


def denormalize(image: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Turn a normalized image, fp32 [3, H, W], back into RGB uint8 [H, W, 3]."""
    scale, offset = (np.array(values, np.float32).reshape(3, 1, 1) for values in (std, mean))
    return (image * scale + offset).round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def colorize(label: np.ndarray, colors: Sequence[Sequence[int]]) -> np.ndarray:
    """Turn train ids [H, W] into RGB uint8 [H, W, 3]; ids without a color (255 = ignore) become black."""
    palette = np.full((256, 3), IGNORED, np.uint8)
    palette[: len(colors)] = colors
    return palette[label.astype(np.uint8)]


def write_image(path: Path, image: np.ndarray) -> None:
    """Write RGB uint8 [H, W, 3] as PNG, whole or not at all; a folder that is missing is made."""
    write_gray(path, image[..., ::-1])


def write_gray(path: Path, values: np.ndarray) -> None:
    """The same of values [H, W], uint8 or uint16."""
    write_bytes(path, cv2.imencode(".png", values)[1].tobytes())


def blend(image: np.ndarray, label: np.ndarray, colors: Sequence[Sequence[int]], opacity: float = 0.5) -> np.ndarray:
    """The colors of train ids [H, W] over an image, both RGB uint8 [H, W, 3]; ``opacity`` 0 is the image alone."""
    return cv2.addWeighted(image, 1 - opacity, colorize(label, colors), opacity, 0)
