"""Which class a label is: from --classes, or from the labels themselves."""

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml

from src.data.catalog import CLASSES_FILE, IGNORE, read_classes
from src.data.importers.record import BACKGROUND, Color, Source
from src.errors import UserError, did_you_mean

GRAY = (60, 60, 60)  # of the background; black stands for ignored pixels


@dataclass(frozen=True)
class ClassFile:
    """What --classes holds: the form of `read_classes`; ``ignore`` may also hold label names and colors."""

    path: Path
    names: tuple[str, ...]
    values: dict[int, str | None]  # raw value -> class; None: ignored
    colors: dict[str, Color]  # of the classes that are given one
    ignored: frozenset[str]  # labels
    ignored_colors: frozenset[Color]


@dataclass(frozen=True)
class ClassTable:
    """The classes of the imported set, in the order of the train ids."""

    names: tuple[str, ...]
    colors: tuple[Color, ...]
    ids: dict[str, int]  # label -> train id, or IGNORE
    background: int  # train id of pixels outside all regions, or IGNORE

    def to_yaml(self) -> str:
        """The text of classes.yaml."""
        return _to_yaml(dict(zip(self.names, self.colors, strict=True)))


def read_class_file(path: Path) -> ClassFile:
    """Read --classes.

    Raises:
        UserError: as `read_classes`, or a color in ``ignore`` that is none.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        values = None  # read_classes says why
    entries = values.get("ignore") if isinstance(values, dict) else None
    extra = [entry for entry in entries if isinstance(entry, (str, list))] if isinstance(entries, list) else []
    if extra:
        numbers = [entry for entry in entries if entry not in extra]
        info = _read_text(yaml.safe_dump({**values, "ignore": numbers or [IGNORE]}, allow_unicode=True), path)
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


def make_table(source: Source, file: ClassFile | None) -> tuple[ClassTable, list[str]]:
    """Give every label a train id.

    Without ``file`` the classes are those of the source, in its order, after ``background`` where pixels outside all
    regions need a class and the source has none of that name. With it, those pixels are its class ``background``, or
    ignored if it has none.

    Returns:
        The table; and problems: labels that ``file`` does not name, which the table ignores.

    Raises:
        UserError: fewer than two classes or more than 255, or a class name twice.
    """
    given = {name: GRAY if color == (0, 0, 0) else color for name, color in source.colors.items()}
    if file is None:
        names, ignored = list(dict.fromkeys(source.classes)), ()
        if source.fills_background and BACKGROUND not in names:
            names.insert(0, BACKGROUND)
    else:
        names, ignored = list(file.names), file.ignored
        given.update(file.colors)
    if len(names) < 2 or "" in names:
        found = ", ".join(repr(name) for name in names) or "none"
        raise UserError(f"training needs two classes at least, each with a name; the labels have {found}")
    given.setdefault(BACKGROUND, GRAY)
    info = _read_text(_to_yaml({name: given.get(name) for name in names}), Path("classes of the labels"))
    ids = {**dict.fromkeys(ignored, IGNORE), **{name: index for index, name in enumerate(names)}}
    unknown = _unknown_labels(source, ids, file) if file else {}
    ids.update(dict.fromkeys(unknown, IGNORE))
    return ClassTable(info.classes, info.colors, ids, ids.get(BACKGROUND, IGNORE)), list(unknown.values())


def _unknown_labels(source: Source, ids: dict[str, int], file: ClassFile) -> dict[str, str]:
    """Labels without a class, each with the message about it."""
    shapes, first = Counter(), {}
    for record in source.records:
        labels = (
            [layer.label for layer in record.layers] if record.class_map is None else record.class_map.names.values()
        )
        for label in labels:
            if label is not None and label not in ids:
                shapes[label] += 1
                first.setdefault(label, record.origin)
    return {
        label: f"label '{label}' ({count}x, first in {first[label]}) is not in {file.path}{did_you_mean(label, ids)} "
        "(add it to classes: or to ignore:)"
        for label, count in shapes.items()
    }


def _to_yaml(classes: dict[str, Color | None]) -> str:
    lines = ["classes:"]
    for index, (name, color) in enumerate(classes.items()):
        entry = {"name": name, "raw": index, **({"color": list(color)} if color else {})}
        flow = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
        lines.append(f"  - {flow.strip()}")
    return "\n".join([*lines, f"ignore: [{IGNORE}]\n"])


def _read_text(text: str, called: Path):
    """Let `read_classes` check a text, and name ``called`` in its messages; it adds colors where there are none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CLASSES_FILE
        path.write_text(text, encoding="utf-8")
        try:
            return read_classes(path)
        except UserError as error:
            raise UserError(str(error).replace(str(path), str(called))) from None
