"""``classes.yaml``: class names and label map of a user's own data set."""

import colorsys
from pathlib import Path
from typing import Any

import yaml

from src.data.info import FOLDER, IGNORE, DatasetInfo
from src.errors import UserError, did_you_mean

CLASSES_FILE = "classes.yaml"


def read_classes(path: Path) -> DatasetInfo:
    """Read the class names and the label map of a user's own data set.

    Either only the names, where raw value i is class i and 255 is ignored::

        classes: [background, road, car]

    or, with other raw values (one or several per class), colors (RGB) and ignored values::

        classes:
          - {name: road, raw: [7, 8], color: [128, 64, 128]}
          - {name: car, raw: 26}
        ignore: [0, 255]

    Both forms may be mixed: a name alone, or a mapping without ``raw``, has its place in the list as raw value. Without
    ``ignore``, 255 is ignored, unless a class has it: ``classes: [background, {name: crack, raw: 255}]``.

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
    ignored = values.get("ignore", [] if IGNORE in label_map else [IGNORE])
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
