"""The images that can be explored: those in a folder, and photos that the page sends."""

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from src.data.decoding import decode_image
from src.data.folders import IMAGE_SUFFIXES
from src.data.image_file import BROKEN, check_image, reason
from src.errors import UserError

MOST_MEGAPIXELS = 80  # of a file: decoding it takes 6 bytes per pixel
MOST_UPLOADS = 8  # kept in memory, the newest ones


@dataclass(frozen=True)
class Picture:
    """An image as it is segmented."""

    rgb: np.ndarray  # uint8 [H, W, 3]
    notes: tuple[str, ...]  # what was done to it, for the page


class Folder:
    """Images by key: ``folder/PATH`` below the folder, ``upload/N`` for the N-th photo that was sent.

    Args:
        root: nothing outside of it is read, symbolic links included.
        megapixels: larger images are scaled down to that many million pixels.
    """

    def __init__(self, root: Path, megapixels: float):
        self.root = root.resolve()
        self.pixels = megapixels * 1e6
        self._uploads: dict[str, Picture] = {}
        self._uploaded = 0

    def keys(self) -> list[str]:
        """Of the images in the folder and its subfolders, sorted by path."""
        found = (path for path in self.root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        return [f"folder/{path.relative_to(self.root).as_posix()}" for path in sorted(found) if self._is_inside(path)]

    def read(self, key: str) -> Picture:
        """Read an image.

        Raises:
            UserError: there is none of that key, or it is unreadable or too large.
        """
        kind, _, name = key.partition("/")
        if kind == "upload" and key in self._uploads:
            return self._uploads[key]
        path = self.root / name
        if kind != "folder" or path.suffix.lower() not in IMAGE_SUFFIXES or not self._is_inside(path):
            raise UserError(f"{key}: no such image in the folder or among the latest photos")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"{name}: unreadable image ({reason(path, error)})") from None
        return self._decode(data, name)

    def upload(self, data: bytes, name: str) -> str:
        """Keep a photo; return its key. Errors as in `read`."""
        picture = self._decode(data, name)
        self._uploaded += 1
        key = f"upload/{self._uploaded}"
        self._uploads[key] = picture
        for old in list(self._uploads)[:-MOST_UPLOADS]:
            del self._uploads[old]
        return key

    def _is_inside(self, path: Path) -> bool:
        try:
            real = path.resolve()
            return real.is_relative_to(self.root) and real.is_file()
        except (OSError, ValueError, RuntimeError):  # a name that is too long, a null byte, a loop of links
            return False

    def _decode(self, data: bytes, name: str) -> Picture:
        path = Path(name)  # for messages
        try:
            with Image.open(io.BytesIO(data)) as image:  # reads the header alone
                size = image.width * image.height
        except BROKEN as error:
            raise UserError(f"{name}: unreadable image ({reason(path, error)})") from None
        if size > MOST_MEGAPIXELS * 1e6:
            raise UserError(
                f"{name}: has {size / 1e6:.0f} megapixels, at most {MOST_MEGAPIXELS} are read; scale it down"
            )
        file = check_image(data, path)
        rgb = decode_image(np.frombuffer(file.data, np.uint8))
        height, width = rgb.shape[:2]
        share = min(1.0, (self.pixels / (height * width)) ** 0.5)
        if share == 1:
            return Picture(rgb, file.notes)
        small = max(1, round(width * share)), max(1, round(height * share))
        note = f"{width} x {height} pixels scaled down to {small[0]} x {small[1]}"
        return Picture(cv2.resize(rgb, small, interpolation=cv2.INTER_AREA), (*file.notes, note))
