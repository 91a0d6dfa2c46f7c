"""Segment an image file."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.api import Model, check_pixel
from src.data.decoding import decode_image
from src.data.image_file import read_image
from src.errors import UserError
from src.report.images import blend, colorize, write_gray, write_image


def draw(rgb: np.ndarray, ids: np.ndarray, colors: Sequence[Sequence[int]], side_by_side: bool) -> np.ndarray:
    """The classes over the image, RGB uint8 [H, W, 3]; ``side_by_side`` with the image to the left, [H, 2W, 3]."""
    overlay = blend(rgb, ids, colors)
    return np.hstack([rgb, overlay]) if side_by_side else overlay


def segment_image(
    model: Model, path: Path, stem: Path, shown: str, explain: bool, pixel: list[int] | None, notes: Counter[str]
) -> None:
    """Write the results of an image as ``STEM.png``, ``STEM_color.png`` and so on.

    Args:
        shown: ``overlay`` or ``side_by_side``.
        explain: also draw what the decoder shows.
        pixel: (row, column) of these pictures; None: the center.
        notes: counts what reading did to the images.

    Raises:
        UserError: the image cannot be read or segmented; begins with its path.
    """
    file = read_image(path)
    notes.update(file.notes)
    try:
        rgb = decode_image(np.frombuffer(file.data, np.uint8))
        place = check_pixel(pixel, rgb)
        ids = model.ids(rgb)
        explanation = model.explain(rgb) if explain else None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    write_image(stem.with_name(f"{stem.name}_color.png"), colorize(ids, model.colors))
    write_image(stem.with_name(f"{stem.name}_{shown}.png"), draw(rgb, ids, model.colors, shown == "side_by_side"))
    write_gray(stem.with_name(f"{stem.name}.png"), ids)
    if explanation:
        explanation.write(stem.parent, stem.name, place)
