"""Check one raw sample and map its label; every error names the file and how to fix it."""

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from src.data.info import IGNORE, DatasetInfo
from src.data.matlab import read_matlab
from src.errors import UserError


def check_image(path: Path) -> tuple[bytes, tuple[int, int]]:
    """Return the bytes of an image file and its (height, width).

    Raises:
        UserError: it is unreadable or truncated. (OpenCV alone would fill a truncated JPEG with gray.)
    """
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            width, height = image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: unreadable image ({_reason(error)})") from None
    return data, (height, width)


def map_label(path: Path, info: DatasetInfo, size: tuple[int, int]) -> np.ndarray:
    """Read a label (PNG, gray or palette, 8 or 16 bits, or MATLAB) and map it to train ids, uint8 [H, W].

    Raises:
        UserError: it is unreadable, in color, not of the image's size, or has a value outside the map.
    """
    if path.suffix.lower() == ".mat":
        mode, raw = "MATLAB", read_matlab(path)
    else:
        mode, raw = _read_pixels(path)
    raw = raw.astype(np.uint8) if raw.dtype == bool else raw  # one bit per pixel; used as an index, it would be a mask
    if raw.ndim != 2:
        raise UserError(f"{path}: label in mode {mode}; expected one channel of class values, not colors")
    if raw.shape != size:
        raise UserError(f"{path}: label is {raw.shape[0]}x{raw.shape[1]}, its image {size[0]}x{size[1]}")
    table = np.full(int(raw.max()) + 1, -1, np.int16)
    for value, train_id in info.label_map.items():
        if value < len(table):
            table[value] = train_id
    mapped = table[raw]
    if mapped.min() < 0:
        unknown = int(raw[mapped < 0][0])
        pixels = int((raw == unknown).sum())
        raise UserError(f"{path}: label value {unknown} ({pixels} pixels) is outside the map{_mend(unknown, info)}")
    return mapped.astype(np.uint8)


def _read_pixels(path: Path) -> tuple[str, np.ndarray]:
    """Mode and raw values of an image file."""
    try:
        with Image.open(path) as image:
            image.load()
            return image.mode, np.asarray(image)  # a palette image gives its indices
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: unreadable label ({_reason(error)})") from None


def encode_png(image: np.ndarray) -> bytes:
    """Encode a gray [H, W] or RGB [H, W, 3] uint8 array as PNG."""
    return cv2.imencode(".png", image if image.ndim == 2 else image[..., ::-1])[1].tobytes()


def sample_size(image: Path) -> int:
    """A bound on the bytes of a sample in a record, from the image's header; 0 if it is not readable."""
    try:
        with Image.open(image) as opened:
            return largest_row(image.stat().st_size, opened.size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return 0  # the check of the sample itself says why


def largest_row(image_bytes: int, size: Sequence[int]) -> int:
    """A bound on the bytes of a row: the image's, its label as PNG (at worst uncompressed), and names."""
    return int(1.02 * (image_bytes + size[0] * size[1])) + 8192


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image file"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _mend(value: int, info: DatasetInfo) -> str:
    known = sorted(value for value, train_id in info.label_map.items() if train_id != IGNORE)
    closest = min(known, key=lambda other: abs(other - value))
    name = info.classes[info.label_map[closest]]
    if info.name == "folder":
        return f"; add it to ignore: or to a class in classes.yaml (nearest: {closest} = {name})"
    return (
        f" of {info.name} (nearest: {closest} = {name}); is it another data set, or another form of it (docs/data.md)? "
        "Use data.name=folder with its map"
    )
