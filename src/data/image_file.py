"""Image files as users have them: read upright, kept or converted for a record, or refused with the reason."""

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from src.data.decoding import encode_png
from src.errors import UserError

ORIENTATION = 0x0112  # EXIF tag: 1 is upright, 2 to 8 are mirrored or turned
BITS = 0x0102  # TIFF tag: bits per sample
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
JPEG = ("JPEG", "MPO")  # MPO: JPEG with further images behind the first, as many phones write it
# What is done to other modes than gray and RGB, for the console.
MODES = {
    "1": "one bit per pixel made gray",
    "P": "palette replaced by its colors",
    "PA": "palette replaced by its colors, transparency dropped",
    "LA": "transparency dropped",
    "RGBA": "transparency dropped",
    "CMYK": "CMYK converted to RGB without a color profile",
}
BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass(frozen=True)
class ImageFile:
    """An image on its way into a record."""

    data: bytes  # JPEG or PNG with 8 bits per color, gray or RGB; OpenCV decodes it fast and applies its orientation
    stored: tuple[int, int]  # (height, width) of the pixels in the file
    orientation: int
    notes: tuple[str, ...]  # what was done to it, for the console

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the upright image."""
        return self.stored[::-1] if self.orientation >= 5 else self.stored


def read_image(path: Path) -> ImageFile:
    """Read an image file and `check_image` it.

    Raises:
        UserError: also if it is unreadable.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: unreadable image ({reason(path, error)})") from None
    return check_image(data, path)


def check_image(data: bytes, path: Path) -> ImageFile:
    """Check the bytes of an image file; formats and modes that are unusual in training become PNG.

    Args:
        path: where they come from, for messages.

    Raises:
        UserError: it is no image, truncated, or of a kind that has no single meaning as 8-bit colors. (OpenCV alone
            would fill a truncated JPEG with gray.)
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            orientation = image.getexif().get(ORIENTATION, 1)
            orientation = orientation if orientation in TURNS else 1
            _refuse(path, image, data)
            image.load()
            if _is_kept(image):
                stored, notes = image.size[::-1], []
                if orientation != 1:
                    _check_orientation(path, data, orientation)
            else:
                upright = ImageOps.exif_transpose(image)
                stored = upright.size if orientation >= 5 else upright.size[::-1]
                notes = [MODES[image.mode]] if image.mode in MODES else []
                if image.format not in (*JPEG, "PNG"):
                    notes.append(f"{image.format} stored as PNG")
                data = encode_png(np.asarray(upright.convert("L" if image.mode in "1L" else "RGB")))
    except BROKEN as error:
        raise UserError(f"{path}: unreadable image ({reason(path, error)})") from None
    if orientation != 1:
        notes.append("turned upright by the orientation tag")
    return ImageFile(data, (stored[0], stored[1]), orientation, tuple(notes))


def read_header(path: Path) -> tuple[int, tuple[int, int]]:
    """A bound on the bytes of the image in a record, and (width, height) as stored, from the file's header.

    Raises:
        OSError, SyntaxError, ValueError: it is not readable.
    """
    with Image.open(path) as image:
        width, height = image.size
        return path.stat().st_size if _is_kept(image) else 3 * width * height, (width, height)


def reason(path: Path, error: Exception) -> str:
    """Why Pillow could not read a file, in plain words."""
    if isinstance(error, UnidentifiedImageError):
        tiff = path.suffix.lower() in (".tif", ".tiff")
        return "not an image file, or more than 8 bits per color" if tiff else "not an image file"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _is_kept(image: Image.Image) -> bool:
    return image.format in (*JPEG, "PNG") and image.mode in ("L", "RGB")


def _refuse(path: Path, image: Image.Image, data: bytes) -> None:
    bits = data[24] if image.format == "PNG" else getattr(image, "tag_v2", {}).get(BITS, 8)
    if image.mode[0] in "IF" or max(np.ravel(bits)) > 8:
        raise UserError(
            f"{path}: more than 8 bits per color; choose the range of values that matters and convert it to 8 bits"
        )
    if image.mode not in (*MODES, "L", "RGB", "YCbCr", "RGBX"):
        raise UserError(f"{path}: color mode {image.mode} is not read; convert the image to RGB")
    pages = 1 if image.format in JPEG else getattr(image, "n_frames", 1)
    if pages > 1:
        raise UserError(f"{path}: holds {pages} images, expected one; save them as files of their own")


def _check_orientation(path: Path, data: bytes, orientation: int) -> None:
    """Check that OpenCV, which decodes the records, turns the image as Pillow does."""
    buffer = np.frombuffer(data, np.uint8)
    stored = cv2.imdecode(buffer, cv2.IMREAD_REDUCED_COLOR_8 | cv2.IMREAD_IGNORE_ORIENTATION)
    upright = cv2.imdecode(buffer, cv2.IMREAD_REDUCED_COLOR_8)
    if not np.array_equal(np.asarray(Image.fromarray(stored).transpose(TURNS[orientation])), upright):
        raise UserError(
            f"{path}: its orientation tag ({orientation}) is not understood by all programs; save the image upright, "
            "without the tag"
        )
