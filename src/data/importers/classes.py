"""Which class a label is: from --classes, or from the labels themselves."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml

from src.data.importers.class_file import ClassFile, Color, read_text
from src.data.importers.record import BACKGROUND, Source
from src.data.info import IGNORE
from src.errors import UserError, did_you_mean

GRAY = (60, 60, 60)  # of the background; black stands for ignored pixels


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
        names, ignored = list(dict.fromkeys(source.classes)), frozenset[str]()
        if source.fills_background and BACKGROUND not in names:
            names.insert(0, BACKGROUND)
    else:
        names, ignored = list(file.names), file.ignored
        given.update(file.colors)
    if len(names) < 2 or "" in names:
        found = ", ".join(repr(name) for name in names) or "none"
        raise UserError(f"training needs two classes at least, each with a name; the labels have {found}")
    given.setdefault(BACKGROUND, GRAY)
    info = read_text(_to_yaml({name: given.get(name) for name in names}), Path("classes of the labels"))
    ids = {**dict.fromkeys(ignored, IGNORE), **{name: index for index, name in enumerate(names)}}
    unknown = _unknown_labels(source, ids, file) if file else {}
    ids.update(dict.fromkeys(unknown, IGNORE))
    return ClassTable(info.classes, info.colors, ids, ids.get(BACKGROUND, IGNORE)), list(unknown.values())


def _unknown_labels(source: Source, ids: dict[str, int], file: ClassFile) -> dict[str, str]:
    """Labels without a class, each with the message about it."""
    shapes: Counter[str] = Counter()
    first: dict[str, str] = {}
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
