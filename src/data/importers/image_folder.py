"""The folder of images, and the names by which labels refer to files in it; no name may lead out of it."""

from collections import defaultdict
from pathlib import Path, PurePosixPath, PureWindowsPath

from src.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
UNREADABLE = (".heic", ".heif", ".avif", ".dng", ".cr2", ".nef", ".arw")  # of phones and cameras; none is read here


class ImageFolder:
    """All images below ``root``, by name: the path relative to it, with forward slashes.

    Args:
        labels: where the labels are; mask images in a folder of their own there are no images of the set.

    Raises:
        UserError: no such folder, or no image in it.
    """

    def __init__(self, root: Path, labels: Path):
        self.root = root
        if not root.is_dir():
            raise UserError(f"--images {root}: no such folder")
        inside = (
            labels.is_dir() and labels.resolve() != root.resolve() and labels.resolve().is_relative_to(root.resolve())
        )
        names = []
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root)
            hidden = any(part.startswith(".") for part in relative.parts)
            of_labels = inside and path.resolve().is_relative_to(labels.resolve())
            if path.suffix.lower() in (*SUFFIXES, *UNREADABLE) and path.is_file() and not hidden and not of_labels:
                names.append(relative.as_posix())
        if not names:
            raise UserError(f"--images {root}: no image found (looked for {', '.join(SUFFIXES)})")
        self.names = tuple(names)
        self._known = frozenset(names)
        self._by_stem, self._by_last = defaultdict(list), defaultdict(list)
        for name in names:
            below = PurePosixPath(name)
            self._by_stem[below.with_suffix("").as_posix()].append(name)
            for last in {below.name.casefold(), below.stem.casefold()}:
                self._by_last[last].append(name)

    def find(self, written: str) -> str:
        """Return the image that labels call ``written``: a path from the folder, or from the one above it.

        Raises:
            UserError: the name leads out of the folder, or there is no such image.
        """
        name = clean_name(written)
        below = name.removeprefix(f"{self.root.resolve().name}/")
        for candidate in (name, below):
            if candidate in self._known:
                return candidate
        raise UserError(f"no image {self.root / name}{self._hint(name)}")

    def find_stem(self, stem: str) -> str:
        """Return the image whose name without suffix is ``stem``.

        Raises:
            UserError: there is none, or several.
        """
        found = self._by_stem.get(stem, [])
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"{' and '.join(found)} in {self.root} have one name; remove one of them")
        raise UserError(f"no image {self.root / stem}.*{self._hint(stem)}")

    def _hint(self, name: str) -> str:
        others = self._by_last.get(PurePosixPath(name).name.casefold(), [])
        if len(others) != 1:
            return ""
        there = self.root / others[0]
        return f"; there is {there}: rename it, or give --images the folder that the names in the labels start from"


def clean_name(written: str) -> str:
    """Return a file name from labels as a relative path with forward slashes.

    Raises:
        UserError: it is empty, absolute, or leads out of its folder.
    """
    name = written.replace("\\", "/")
    parts = PurePosixPath(name).parts
    unsafe = name.startswith("/") or PureWindowsPath(name).drive or ".." in parts
    if not parts or unsafe or any(ord(character) < 32 for character in name):
        raise UserError(f"file name {written!r} is refused: it has to be a path below --images, without '..'")
    return "/".join(parts)


def flat_name(name: str) -> str:
    """The name in the imported set: one folder, ``a/b.jpg`` becomes ``a__b`` (without suffix)."""
    return PurePosixPath(name).with_suffix("").as_posix().replace("/", "__")
