"""One image file: its size as stored and as shown, and its copy in the imported set.

Phones store photos as the sensor sees them, with a tag in the EXIF data that tells viewers how to turn them. Labeling
tools draw on the turned view, training reads what is stored; so a photo with such a tag is written upright, without the
tag. That means encoding it anew, as JPEG of quality 95 (PNG stays PNG). Everything else is copied byte by byte, gray,
palette and transparent images too: reading turns them into RGB and drops transparency, in training as in prediction.
Files in formats or colors that training does not read (WebP, TIFF, CMYK) are converted. 16-bit images are refused:
which part of their range matters only their owner knows.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from src.data.importers.image_folder import UNREADABLE
from src.errors import UserError

ORIENTATION = 0x0112  # EXIF tag
JPEG_QUALITY = 95
JPEG = ("JPEG", "MPO")
COPIED = (*JPEG, "PNG", "BMP")
COPIED_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
COPIED_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")


@dataclass(frozen=True)
class Photo:
    """Facts about an image file."""

    path: Path
    stored: tuple[int, int]  # (height, width) of the pixels in the file
    orientation: int  # EXIF: 1 upright, 2 to 8 mirrored or turned
    is_jpeg: bool
    is_copied: bool  # as far as format and colors go

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) as viewers show it."""
        return self.stored[::-1] if self.orientation >= 5 else self.stored

    @property
    def is_turned(self) -> bool:
        return self.orientation != 1

    @property
    def suffix(self) -> str:
        """Of the copy."""
        if self.is_jpeg:
            return self.path.suffix if self.path.suffix.lower() in (".jpg", ".jpeg") else ".jpg"
        return self.path.suffix if self.is_copied and not self.is_turned else ".png"

    def write(self, path: Path) -> None:
        """Write the upright image to ``path``, which ends in `suffix`."""
        if self.is_copied and not self.is_turned:
            shutil.copyfile(self.path, path)
            return
        with Image.open(self.path) as image:
            profile = image.info.get("icc_profile") if image.mode == "RGB" else None
            upright = ImageOps.exif_transpose(image).convert("RGB")
        upright.save(path, quality=JPEG_QUALITY, icc_profile=profile)  # PNG has no quality and ignores it


def open_photo(path: Path) -> Photo:
    """Read and check an image file.

    Raises:
        UserError: not an image, truncated, or of 16 bits.
    """
    try:
        with Image.open(path) as image:
            image.load()
            orientation = image.getexif().get(ORIENTATION, 1)
            deep = image.mode[0] in "IF" or _bits(path) > 8
            form, mode, (width, height) = image.format, image.mode, image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: unreadable image ({_reason(path, error)})") from None
    if deep:
        raise UserError(f"{path}: more than 8 bits per color; choose the range that matters and convert it to 8 bits")
    orientation = orientation if orientation in range(1, 9) else 1
    is_copied = form in COPIED and path.suffix.lower() in COPIED_SUFFIXES and mode in COPIED_MODES
    return Photo(path, (height, width), orientation, form in JPEG, is_copied)


def label_size(photo: Photo, stated: tuple[int, int] | None) -> tuple[int, int]:
    """Return the size at which the label is drawn: the upright one.

    Args:
        stated: (height, width) of the image according to its label; None if the label does not say.

    Raises:
        UserError: the label was made for another size, or for the photo before turning.
    """
    if stated is None or stated == photo.upright:
        return photo.upright
    label, image = (f"{height}x{width}" for height, width in (stated, photo.upright))
    if stated == photo.stored:
        raise UserError(
            f"{photo.path}: its EXIF tag turns it to {image} (height x width), but its label is {label}, drawn on the "
            f"photo as stored; remove the tag (exiftool -Orientation= {photo.path.name}), or label the upright photo"
        )
    raise UserError(f"{photo.path}: the image is {image} (height x width), its label was made for {label}")


def _bits(path: Path) -> int:
    """Bits per color of a PNG, which Pillow reads as 8 in color; 8 for other files."""
    with path.open("rb") as file:
        head = file.read(25)
    return head[24] if head.startswith(b"\x89PNG") else 8


def _reason(path: Path, error: Exception) -> str:
    if path.suffix.lower() in UNREADABLE:
        return f"{path.suffix.lower()} is not read here; convert it to JPEG, and label or name that"
    if isinstance(error, UnidentifiedImageError):
        return "not an image file"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
