"""Mask images, one for each photo: what voc, colors and CVAT's masks have in common. Pillow and NumPy read them.

A mask belongs to the image of the same name below --images. ``ImageSets/Segmentation/*.txt`` beside the folder of
masks, where there are any, say which masks count; their split is not kept, the import makes its own.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from src.data.importers.class_file import Color
from src.data.importers.raster import ClassMap
from src.data.importers.reading import visible_files
from src.data.importers.record import Annotated, Request, Source
from src.errors import UserError


def read_masks(request: Request, source: Source, folder: Path, make: Callable[[Path], ClassMap]) -> None:
    """Add a record to ``source`` for each PNG in ``folder``; ``make`` says what its values mean.

    Raises:
        UserError: no such folder, no mask in it, or it is that of the images.
    """
    if not folder.is_dir():
        raise UserError(f"--labels {request.labels}: no folder {folder}, which should hold the masks as PNG")
    if folder.resolve() == request.images.root.resolve():
        raise UserError(f"--labels {folder}: the folder of the images; masks have to be in one of their own")
    listed = _listed(folder.parent / "ImageSets" / "Segmentation")
    paths = visible_files(folder, ".png")
    if not paths:
        raise UserError(f"--labels {folder}: no .png in it; masks are read from PNG, which keeps values exactly")
    for path in paths:
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if listed and stem not in listed:
            source.notes["masks left out, as ImageSets/Segmentation does not list them"] += 1
            continue
        try:
            name = request.images.find_stem(stem)
            source.records.append(Annotated(name, str(path), class_map=make(path)))
        except UserError as error:
            source.problems.append(f"{path}: {error}")


def read_colors(request: Request, source: Source, folder: Path, ignored: Mapping[Color, None], named_in: Path) -> None:
    """Add a record for each mask in color, by the colors of ``source``.

    Args:
        ignored: colors of ignored pixels.
        named_in: file that gives the colors, for messages.

    Raises:
        UserError: as `read_masks`, or two classes of one color.
    """
    names: dict[int, str | None] = {pack(color): None for color in ignored}
    for name, color in source.colors.items():
        if pack(color) in names:
            other = names[pack(color)] or "ignored pixels"
            raise UserError(f"{named_in}: color {_text(pack(color))} is that of {other} and of {name}")
        names[pack(color)] = name
    explain = partial(_unknown_color, names, named_in)
    read_masks(request, source, folder, lambda path: ClassMap(path, read_rgb, names, explain))


def read_rgb(path: Path) -> np.ndarray:
    """A mask in color, or with a palette -> colors as numbers, int32 [H, W].

    Raises:
        UserError: unreadable, or pixels that are partly transparent.
    """
    image = open_mask(path)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        if alpha.min() < 255:
            pixels = int((alpha < 255).sum())
            raise UserError(f"{path}: {pixels} pixels are transparent; a mask needs one full color per class")
    rgb = np.asarray(image.convert("RGB"), np.int32)
    return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]


def open_mask(path: Path) -> Image.Image:
    """Read a mask image.

    Raises:
        UserError: it is unreadable.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: unreadable mask ({error})") from None


def pack(color: Color) -> int:
    """RGB as one number."""
    return color[0] << 16 | color[1] << 8 | color[2]


def _unknown_color(names: Mapping[int, str | None], named_in: Path, value: int) -> str:
    """An unknown color is never taken for a near one: smoothed edges and JPEG make up colors between two classes."""
    rgb = np.array(_unpack(value))
    nearest = min(names, key=lambda known: int(((np.array(_unpack(known)) - rgb) ** 2).sum()))
    name = names[nearest] or "ignored"
    return f"color {_text(value)} is not in {named_in} (nearest: {_text(nearest)} = {name})"


def _unpack(value: int) -> Color:
    return value >> 16, value >> 8 & 255, value & 255


def _text(value: int) -> str:
    return "({}, {}, {})".format(*_unpack(value))


def _listed(folder: Path) -> set[str]:
    files = sorted(folder.glob("*.txt")) if folder.is_dir() else []
    lines = (line.strip() for file in files for line in file.read_text("utf-8", errors="replace").splitlines())
    return {line for line in lines if line}
