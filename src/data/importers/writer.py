"""The imported set on disk: in a folder beside it until it is complete, so that nothing half-written is left."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from src.data.classes_file import CLASSES_FILE
from src.data.importers.classes import ClassTable
from src.data.importers.image_folder import ImageFolder, flat_name
from src.data.importers.photo import Photo, label_size, open_photo
from src.data.importers.raster import paint
from src.data.importers.record import Annotated
from src.data.info import IGNORE
from src.errors import UserError

SPLITS = ("train", "val")
OVERLAY, CONFIG, RECORDS = "overlay.png", "config.yaml", "records"
ESSENTIAL = {"images", "annotations", CLASSES_FILE, CONFIG}
ALLOWED = ESSENTIAL | {OVERLAY, RECORDS, f".{RECORDS}.writing", f".{RECORDS}.replaced"}
LABELS = "labels"  # while the splits are not known


@dataclass(frozen=True)
class Sample:
    """One image whose label is drawn."""

    name: str  # in the imported set, without suffix
    source: str  # name below --images
    photo: Photo
    size: tuple[int, int]  # (height, width)
    pixels: np.ndarray  # int [256], pixels of each train id

    @property
    def file_name(self) -> str:
        return self.name + self.photo.suffix


def check_output(output: Path, overwrite: bool, sources: list[Path]) -> None:
    """Refuse to replace anything but an earlier import, and that only when asked to.

    Raises:
        UserError: there is something else, or a source lies in it.
    """
    if output.name in ("", ".."):
        raise UserError(f"--output {output}: give the folder by its name")
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    names = {path.name for path in output.iterdir()} if output.is_dir() else set()
    if not names >= ESSENTIAL:
        raise UserError(f"--output {output}: exists and is not an imported set; choose another folder")
    if names - ALLOWED:
        other = sorted(names - ALLOWED)[0]
        raise UserError(
            f"--output {output}: holds {other}, which is not of an import; move it, or choose another folder"
        )
    if not overwrite:
        raise UserError(f"--output {output}: exists already; --overwrite replaces it, its config.yaml and records too")
    inside = next((path for path in sources if path.resolve().is_relative_to(output.resolve())), None)
    if inside:
        raise UserError(f"--output {output}: {inside} lies in it and would be lost; choose another folder")


@contextmanager
def staging(output: Path) -> Iterator[Path]:
    """Yield a folder to write into, which becomes ``output`` if all goes well and is removed if not.

    Raises:
        UserError: it cannot be written.
    """
    beside, replaced = (output.with_name(f".{output.name}.{state}") for state in ("writing", "replaced"))
    try:
        shutil.rmtree(beside, ignore_errors=True)
        for kind in ("images", "annotations"):
            for split in SPLITS:
                (beside / kind / split).mkdir(parents=True)
        (beside / LABELS).mkdir()
        yield beside
        (beside / LABELS).rmdir()
        if output.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            output.rename(replaced)
        beside.rename(output)
        shutil.rmtree(replaced, ignore_errors=True)
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def draw_labels(
    records: list[Annotated], images: ImageFolder, table: ClassTable, folder: Path
) -> tuple[list[Sample], Counter[str], list[str]]:
    """Check each image and draw its label into ``folder``.

    Returns:
        The samples, sorted by name; how many regions drew nothing or lay outside, and images left out because every
        pixel of them is ignored; and the problems.
    """
    samples: list[Sample] = []
    notes: Counter[str] = Counter()
    problems: list[str] = []
    ordered = sorted(records, key=lambda record: flat_name(record.file_name))
    for record in tqdm(ordered, desc="draw labels", unit="image", disable=None):
        try:
            photo = open_photo(images.root / record.file_name)
            label, counts = _draw(record, photo, table)
        except UserError as error:
            problems.append(str(error))
            continue
        notes.update({f"regions that {_WORDS[kind]}": count for kind, count in counts.items() if count})
        pixels = np.bincount(label.ravel(), minlength=256)
        if pixels[IGNORE] == label.size:
            notes["images left out, as every pixel in them is ignored"] += 1
            continue
        sample = Sample(flat_name(record.file_name), record.file_name, photo, photo.upright, pixels)
        (folder / f"{sample.name}.png").write_bytes(cv2.imencode(".png", label)[1].tobytes())
        samples.append(sample)
    return samples, notes, problems


_WORDS = {
    "empty": "cover no pixel: too small, outside the image, or without pixels",
    "outside": "reach outside the image and are cut off at its edge",
}


def _draw(record: Annotated, photo: Photo, table: ClassTable) -> tuple[np.ndarray, dict[str, int]]:
    if record.class_map is None:
        return paint(record.layers, label_size(photo, record.size), table.ids, table.background)
    values = record.class_map.read(record.class_map.path)
    height, width = values.shape
    label_size(photo, (height, width))
    try:
        return record.class_map.draw(values, table.ids), {}
    except UserError as error:
        raise UserError(f"{record.class_map.path}: {error}") from None


def place(samples: list[Sample], is_val: np.ndarray, folder: Path) -> None:
    """Move the labels into their splits and write the images beside them."""
    for sample, val in zip(tqdm(samples, desc="write images", unit="image", disable=None), is_val, strict=True):
        split = SPLITS[int(val)]
        (folder / LABELS / f"{sample.name}.png").rename(folder / "annotations" / split / f"{sample.name}.png")
        sample.photo.write(folder / "images" / split / sample.file_name)
