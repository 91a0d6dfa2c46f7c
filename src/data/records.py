"""A folder of records: what its metadata says, and whether its files are whole.

It holds ``{split}.mindrecord*`` for each split, ``metadata.json`` (`Metadata`) and ``manifest.json`` (of every file
its size, and the SHA-256 of each MiB). The columns are the image file's bytes, the label as PNG of train ids, the name,
and the size.
"""

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

from src.errors import UserError

SCHEMA_VERSION = 2  # 1: orientation tags of images were not applied
PIECE = 1 << 20  # bytes that have a checksum of their own
SAMPLE = 64 * PIECE  # bytes that are compared with their checksums before a training


@dataclass(frozen=True)
class Split:
    """Facts about one split."""

    count: int
    size: list[int] | None  # [H, W] if all images have one size
    class_share: list[float]  # share of each class in the labeled pixels
    ignored_share: float  # share of ignored pixels in all pixels
    class_images: list[int]  # images in which each class has a pixel
    unlabeled: int  # images in which no pixel has a class
    ignored_values: dict[str, float]  # raw value without a class -> its share of all pixels
    sizes: dict[str, list[int]]  # [H, W] of the smallest, median and largest image by area
    notes: dict[str, int]  # what was done to images -> to how many
    labels: bool = True  # False for a split of images alone; its labels are all ignored


@dataclass(frozen=True)
class Metadata:
    """What a folder of records contains."""

    schema_version: int
    name: str
    classes: list[str]
    colors: list[list[int]]
    label_map: dict[str, int]
    ignore_index: int
    source: dict
    splits: dict[str, Split]

    def split(self, name: str) -> Split:
        """Return one split's facts.

        Raises:
            UserError: the records have no such split.
        """
        if name not in self.splits:
            raise UserError(f"the records have no split '{name}' (there are {', '.join(self.splits)}); prepare it")
        return self.splits[name]


def read_metadata(records: str | Path) -> Metadata:
    """Read ``metadata.json``.

    Raises:
        UserError: there are no records, or they were written by another version.
    """
    path = Path(records) / "metadata.json"
    if not path.is_file():
        raise UserError(f"data.records: no records in {records} (metadata.json is missing)")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values["schema_version"]  # others have other fields
        if version != SCHEMA_VERSION:
            raise UserError(f"{path}: version {version}, expected {SCHEMA_VERSION}{again(records)}")
        splits = {name: Split(**split) for name, split in values.pop("splits").items()}
        return Metadata(**values, splits=splits)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path} is damaged{again(records)}") from None


def check_records(records: str | Path, full: bool = False) -> None:
    """Compare the files with the manifest: existence and size of all, and the checksums of a sample.

    MindSpore's own errors on damaged records are obscure, and some damage only ends an epoch early.

    Args:
        full: compare all checksums, not only those of 64 MiB. (The sample is the same each time, drawn from all files;
            records of up to 64 MiB are compared as a whole.)

    Raises:
        UserError: names the file that is missing, truncated or changed.
    """
    folder = Path(records)
    try:
        text = (folder / "manifest.json").read_text(encoding="utf-8")
        files = {folder / name: (facts["bytes"], _pieces(folder / name, facts)) for name, facts in _files(text).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise UserError(f"{folder / 'manifest.json'} is missing or damaged{again(records)}") from None
    present = {path for path in folder.iterdir() if path.is_file()}
    for path, (size, _) in files.items():
        if path not in present:
            raise UserError(f"{path} is missing{again(records)}")
        if path.stat().st_size != size:
            raise UserError(f"{path} has {path.stat().st_size} bytes, expected {size}{again(records)}")
    pieces = [piece for _, of_file in files.values() for piece in of_file]
    for piece in pieces if full else _sample(pieces, text):
        if not piece.matches():
            raise UserError(f"{piece.path} does not match its checksum: it is damaged{again(records)}")


@dataclass(frozen=True)
class _Piece:
    """Bytes of a file that have a checksum."""

    path: Path
    start: int
    length: int
    sha256: str

    def matches(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(self.start)
            return hashlib.sha256(file.read(self.length)).hexdigest() == self.sha256


def contents(records: str | Path) -> str:
    """A checksum, in hexadecimal, of what the records hold, taken from their manifest.

    The file metadata.json names the folder that they were made from, which may differ.

    Raises:
        FileNotFoundError: there are none.
        OSError, ValueError, KeyError, TypeError, AttributeError: they are damaged.
    """
    folder = Path(records)
    files = _files((folder / "manifest.json").read_text(encoding="utf-8"))
    sums = sorted((name, facts["pieces"]) for name, facts in files.items() if name != "metadata.json")
    about = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    about["source"] = None
    return hashlib.sha256(json.dumps([sums, about], sort_keys=True).encode()).hexdigest()


def _files(manifest: str) -> dict[str, dict]:
    return json.loads(manifest)["files"]


def _pieces(path: Path, facts: dict) -> list[_Piece]:
    """facts: an entry of the manifest."""
    size = facts["bytes"]
    checksums = zip(range(0, size, PIECE), facts["pieces"], strict=True)
    return [_Piece(path, start, min(PIECE, size - start), sha256) for start, sha256 in checksums]


def _sample(pieces: list[_Piece], manifest: str) -> list[_Piece]:
    """The first piece and others, at random but the same for one manifest: up to `SAMPLE` bytes in all."""
    first, *others = pieces
    random.Random(manifest).shuffle(others)
    chosen, left = [], SAMPLE
    for piece in (first, *others):
        if piece.length <= left:
            chosen.append(piece)
            left -= piece.length
    return chosen


def describe_file(path: Path) -> dict:
    """The entry of a file in the manifest: its size, and the SHA-256 of each piece."""
    with path.open("rb") as file:
        checksums = [hashlib.sha256(piece).hexdigest() for piece in iter(lambda: file.read(PIECE), b"")]
    return {"bytes": path.stat().st_size, "pieces": checksums}


def again(records: str | Path) -> str:
    """How to repair damaged records, as the end of a message."""
    return f"; remove the folder {records} and prepare the data again"
