"""A folder of records: what its metadata says, and whether its files are whole.

It holds ``{split}.mindrecord*`` for each split, ``metadata.json`` (`Metadata`) and ``manifest.json`` (size and SHA-256
of every file). The columns are the image file's bytes, the label as PNG of train ids, the name, and the size.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from src.errors import UserError
from src.files import sha256

SCHEMA_VERSION = 2  # 1: orientation tags of images were not applied


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
        splits = {name: Split(**split) for name, split in values.pop("splits").items()}
        metadata = Metadata(**values, splits=splits)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged{again(records)}") from None
    if metadata.schema_version != SCHEMA_VERSION:
        raise UserError(f"{path}: version {metadata.schema_version}, expected {SCHEMA_VERSION}{again(records)}")
    return metadata


def check_records(records: str | Path) -> None:
    """Compare every file with the manifest: existence, size and SHA-256.

    MindSpore's own errors on damaged records are obscure, and some damage only ends an epoch early.

    Raises:
        UserError: names the file that is missing, truncated or changed.
    """
    folder = Path(records)
    try:
        files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder / 'manifest.json'} is missing or damaged{again(records)}") from None
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing{again(records)}")
        if path.stat().st_size != expected["bytes"]:
            raise UserError(f"{path} has {path.stat().st_size} bytes, expected {expected['bytes']}{again(records)}")
        if sha256(path) != expected["sha256"]:
            raise UserError(f"{path} does not match its checksum: it is damaged{again(records)}")


def again(records: str | Path) -> str:
    """How to repair damaged records, as the end of a message."""
    return f"; remove the folder {records} and prepare the data again"
