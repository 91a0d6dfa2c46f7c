"""--classes: the user's own names, order and colors of the classes."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from src.data.classes_file import CLASSES_FILE, read_classes
from src.data.info import IGNORE, DatasetInfo
from src.errors import UserError

Color = tuple[int, int, int]  # RGB


@dataclass(frozen=True)
class ClassFile:
    """What --classes holds: the form of `read_classes`; ``ignore`` may also hold label names and colors."""

    path: Path
    names: tuple[str, ...]
    values: dict[int, str | None]  # raw value -> class; None: ignored
    colors: dict[str, Color]  # of the classes that are given one
    ignored: frozenset[str]  # labels
    ignored_colors: frozenset[Color]


def read_class_file(path: Path) -> ClassFile:
    """Read --classes.

    Raises:
        UserError: as `read_classes`, or a malformed color in ``ignore``.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        values = None  # read_classes says why
    entries = values.get("ignore") if isinstance(values, dict) else None
    ignored = entries if isinstance(entries, list) else []
    extra = [entry for entry in ignored if isinstance(entry, (str, list))]
    if extra:
        numbers = [entry for entry in ignored if entry not in extra]
        info = read_text(yaml.safe_dump({**values, "ignore": numbers or [IGNORE]}, allow_unicode=True), path)
    else:
        info = read_classes(path)
    colors = [tuple(entry) for entry in extra if isinstance(entry, list)]
    for color in colors:
        if len(color) != 3 or not all(isinstance(c, int) and 0 <= c < 256 for c in color):
            raise UserError(f"{path}: ignore: expected raw values, label names or [red, green, blue], found {color!r}")
    given = [entry for entry in values["classes"] if isinstance(entry, dict)]
    return ClassFile(
        path,
        info.classes,
        {raw: None if train_id == IGNORE else info.classes[train_id] for raw, train_id in info.label_map.items()},
        {str(entry["name"]): tuple(entry["color"]) for entry in given if entry.get("color") is not None},
        frozenset(entry for entry in extra if isinstance(entry, str)),
        frozenset(colors),
    )


def read_text(text: str, called: Path) -> DatasetInfo:
    """Let `read_classes` check a text, and name ``called`` in its messages; it adds colors where there are none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CLASSES_FILE
        path.write_text(text, encoding="utf-8")
        try:
            return read_classes(path)
        except UserError as error:
            raise UserError(str(error).replace(str(path), str(called))) from None
