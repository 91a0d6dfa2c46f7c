"""The whole import: read the labels, draw them, split the images, write the set."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.data.classes_file import CLASSES_FILE
from src.data.importers import FORMATS
from src.data.importers.class_file import read_class_file
from src.data.importers.classes import ClassTable, make_table
from src.data.importers.config import make_config
from src.data.importers.image_folder import ImageFolder, flat_name
from src.data.importers.overlay import draw_sheet
from src.data.importers.record import Annotated, Request, Source
from src.data.importers.split import divide, group_names
from src.data.importers.writer import CONFIG, LABELS, OVERLAY, Sample, check_output, draw_labels, place, staging
from src.data.info import IGNORE
from src.errors import UserError, listing
from src.files import write_text


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    format: str  # one of FORMATS
    images: Path
    labels: Path
    output: Path
    val_share: float = 0.2
    seed: int = 0
    group: str | None = None  # regular expression on file names
    classes: Path | None = None
    keep_unlabeled: bool = False
    keep_crowd: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Report:
    """What was imported."""

    table: ClassTable
    samples: list[Sample]
    is_val: np.ndarray  # bool [samples]
    notes: Counter  # what was skipped, left out or changed, and how often

    @property
    def pixels(self) -> np.ndarray:
        """int [2, 256]: pixels of each train id in training and validation."""
        return self._sums(np.stack([sample.pixels for sample in self.samples]))

    @property
    def images(self) -> np.ndarray:
        """int [2, 256]: images that show each train id, in training and validation."""
        return self._sums(np.stack([sample.pixels > 0 for sample in self.samples]))

    def _sums(self, values: np.ndarray) -> np.ndarray:
        return np.stack([values[self.is_val == val].sum(axis=0) for val in (False, True)])


def import_labels(options: Options) -> Report:
    """Write the imported set.

    Raises:
        UserError: the labels, images or options are not usable; all problems of the files are listed together, and
            nothing is left of what was written.
    """
    if not 0 < options.val_share < 1:
        raise UserError(
            f"--val-share {options.val_share:g}: expected a share between 0 and 1: training needs images to learn "
            "from, and evaluation, which chooses the best checkpoint, needs others"
        )
    check_output(options.output, options.overwrite, [options.images, options.labels])
    if options.labels.suffix.lower() in (".zip", ".tar", ".gz"):
        raise UserError(f"--labels {options.labels}: unpack the archive, and name what is in it")
    if not options.labels.exists():
        raise UserError(f"--labels {options.labels}: no such file or folder")
    images = ImageFolder(options.images, options.labels)
    classes = read_class_file(options.classes) if options.classes else None
    source = FORMATS[options.format](Request(images, options.labels, classes, options.keep_crowd))
    table, unknown = make_table(source, classes)
    records, notes = _select(source, images, table, options.keep_unlabeled)
    problems = [*source.problems, *unknown]
    with staging(options.output) as folder:
        samples, drawn, wrong = draw_labels(records, images, table, folder / LABELS)
        problems += wrong
        if problems:
            noun = "problem" if len(problems) == 1 else "problems"
            raise UserError(
                f"{len(problems)} {noun} in the labels or images; nothing was written:\n{listing(problems)}"
            )
        if len(samples) < 2:
            raise UserError(f"{len(samples)} labeled images; training and validation need one each at least")
        notes.update(drawn)
        groups, alone = group_names([sample.source for sample in samples], options.group)
        if alone:
            notes["images that --group does not match, each a group of its own"] = alone
        presence = np.stack([sample.pixels[: len(table.names)] > 0 for sample in samples])
        is_val = divide(presence, groups, options.val_share, options.seed)
        place(samples, is_val, folder)
        report = Report(table, samples, is_val, notes)
        _write_rest(report, folder, options)
    _note_photos(samples, notes)
    return report


def _select(
    source: Source, images: ImageFolder, table: ClassTable, keep_unlabeled: bool
) -> tuple[list[Annotated], Counter]:
    """The records that take part, with the names of their images as they are; and counts of what does not.

    What is wrong with the names is added to the problems of ``source``.
    """
    labels: dict[str, Annotated] = {}
    for record in source.records:
        try:
            name = images.find(record.file_name)
        except UserError as error:
            source.problems.append(f"{record.origin}: {error}")
            continue
        if name in labels:
            source.problems.append(f"{images.root / name}: two labels, {labels[name].origin} and {record.origin}")
        labels.setdefault(name, replace(record, file_name=name))
    if not source.problems:  # else many a label may be missing because of them
        for name in images.names:
            labels.setdefault(name, Annotated(name, str(images.root / name)))
    notes = Counter(source.notes)
    unlabeled = [record.file_name for record in labels.values() if record.is_empty]
    if unlabeled and keep_unlabeled:
        if table.background == IGNORE:
            raise UserError("--keep-unlabeled: fills images with the class background; --classes names none")
        notes["images without annotation kept as background"] = len(unlabeled)
    elif unlabeled:
        notes[_left_out(unlabeled)] = len(unlabeled)
    records = [record for record in labels.values() if keep_unlabeled or not record.is_empty]
    source.problems += _name_problems(records, images)
    return records, notes


def _name_problems(records: list[Annotated], images: ImageFolder) -> list[str]:
    """Images that could not be told apart in the imported set."""
    files: dict[str, list[str]] = {}
    for record in records:
        files.setdefault(flat_name(record.file_name), []).append(record.file_name)
    return [
        f"{images.root}: {' and '.join(names)} would both be named {flat}; rename one of them"
        for flat, names in files.items()
        if len(names) > 1
    ]


def _left_out(names: list[str]) -> str:
    return f"images without annotation left out, such as {names[0]} (--keep-unlabeled keeps them as background)"


def _write_rest(report: Report, folder: Path, options: Options) -> None:
    """Write classes, sheet and config."""
    write_text(folder / CLASSES_FILE, report.table.to_yaml())
    draw_sheet(report.samples, report.is_val, report.table, folder, options.seed, folder / OVERLAY)
    pixels = report.pixels[0, : len(report.table.names)]
    sizes = [sample.size for sample, val in zip(report.samples, report.is_val, strict=True) if not val]
    counts = (len(sizes), int(report.is_val.sum()))
    names = report.table.names
    missing = [name for name, images in zip(names, report.images.T, strict=False) if not images.all()]
    config = make_config(options.output, sizes, counts, names, pixels / max(int(pixels.sum()), 1), missing)
    write_text(folder / CONFIG, config)


def _note_photos(samples: list[Sample], notes: Counter) -> None:
    turned = sum(sample.photo.is_turned for sample in samples)
    converted = sum(not sample.photo.is_copied and not sample.photo.is_turned for sample in samples)
    if turned:
        notes["photos turned upright as their EXIF tag says, and encoded anew"] = turned
    if converted:
        notes["images converted to a format and colors that training reads"] = converted
