"""Check one raw sample and map its label; every error names the file and how to fix it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from src.data.image_file import BROKEN, ImageFile, read_header, read_image, reason
from src.data.info import IGNORE, DatasetInfo
from src.data.matlab import read_matlab
from src.errors import UserError

LOSSY = ("JPEG", "MPO", "WEBP")
LARGEST_VALUE = 65535


@dataclass(frozen=True)
class CheckedSample:
    """An image and its mapped label."""

    image: ImageFile
    label: np.ndarray  # train ids, uint8 [H, W], of the upright image
    ignored: dict[int, int]  # raw value without a class -> its pixels


def check_sample(image: Path, label: Path | None, info: DatasetInfo) -> CheckedSample:
    """Read an image and its label, and map the label.

    Args:
        label: None: there is none, and every pixel is ignored.

    Raises:
        UserError: one of them is not usable, or they do not belong together.
    """
    opened = read_image(image)
    if label is None:
        return CheckedSample(opened, np.full(opened.size, IGNORE, np.uint8), {})
    raw = read_label(label)
    check_size(label, raw.shape, opened)
    mapped = map_label(label, raw, info)
    pixels = np.bincount(raw[mapped == IGNORE])
    return CheckedSample(opened, mapped, {int(value): int(pixels[value]) for value in pixels.nonzero()[0]})


def read_label(path: Path) -> np.ndarray:
    """Read the raw values [H, W] of a label: gray or palette, of up to 16 bits, in any lossless format, or MATLAB.

    Raises:
        UserError: it is unreadable, in color, or in a format that changes values.
    """
    if path.suffix.lower() == ".mat":
        mode, raw = "MATLAB", read_matlab(path)
    else:
        mode, raw = _read_pixels(path)
    raw = raw.astype(np.uint8) if raw.dtype == bool else raw  # one bit per pixel; used as an index, it would be a mask
    if raw.ndim != 2 or raw.dtype.kind not in "iu":
        raise UserError(f"{path}: label in mode {mode}; expected one channel of class values, not colors")
    return raw


def check_size(path: Path, size: Sequence[int], image: ImageFile) -> None:
    """Compare the size of a label with that of its upright image.

    Raises:
        UserError: they differ.
    """
    if tuple(size) == image.size:
        return
    found = f"{path}: label is {size[0]}x{size[1]}, its image {image.size[0]}x{image.size[1]}"
    if tuple(size) == image.stored:
        found += (
            f" once its orientation tag ({image.orientation}) is applied; turn the label the same way, or, if the "
            "label was drawn on the image as stored, remove the tag from the image (exiftool -Orientation= IMAGE)"
        )
    raise UserError(found)


def map_label(path: Path, raw: np.ndarray, info: DatasetInfo) -> np.ndarray:
    """Map raw values [H, W] to train ids, uint8 [H, W].

    Raises:
        UserError: a value is outside the map.
    """
    if raw.min() < 0 or raw.max() > LARGEST_VALUE:
        raise _unknown(path, raw, (raw < 0) | (raw > LARGEST_VALUE), info)
    table = np.full(int(raw.max()) + 1, -1, np.int16)
    for value, train_id in info.label_map.items():
        if value < len(table):
            table[value] = train_id
    mapped = table[raw]
    if mapped.min() < 0:
        raise _unknown(path, raw, mapped < 0, info)
    return mapped.astype(np.uint8)


def _read_pixels(path: Path) -> tuple[str, np.ndarray]:
    """Mode and raw values of an image file."""
    try:
        with Image.open(path) as image:
            if image.format in LOSSY:
                raise UserError(
                    f"{path}: label in {image.format}, which is lossy: values change along every edge; export PNG"
                )
            image.load()
            return image.mode, np.asarray(image)  # a palette image gives its indices
    except BROKEN as error:
        raise UserError(f"{path}: unreadable label ({reason(path, error)})") from None


def sample_size(image: Path) -> int:
    """A bound on the bytes of a sample in a record, from the image's header; 0 if it is not readable."""
    try:
        return largest_row(*read_header(image))
    except BROKEN:
        return 0  # the check of the sample itself says why


def largest_row(image_bytes: int, size: Sequence[int]) -> int:
    """A bound on the bytes of a row: the image's, its label as PNG (at worst uncompressed), and names."""
    return int(1.02 * (image_bytes + size[0] * size[1])) + 8192


def _unknown(path: Path, raw: np.ndarray, where: np.ndarray, info: DatasetInfo) -> UserError:
    value = int(raw[where][0])
    pixels = int((raw == value).sum())
    return UserError(f"{path}: label value {value} ({pixels} pixels) is outside the map{_mend(value, info)}")


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
