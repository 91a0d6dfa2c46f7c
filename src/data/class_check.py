"""Guards against a score that means nothing: classes without a pixel, and a class that is ignored by mistake."""

from collections.abc import Sequence
from typing import Literal

import yaml

from src.data.info import IGNORE
from src.data.records import Metadata
from src.errors import UserError, did_you_mean

AllowEmpty = Sequence[str] | Literal["all"]
MOST_LISTED = 20  # classes
MOST_WRITTEN = 6  # classes for which a whole classes.yaml is suggested


def check_classes(metadata: Metadata, splits: Sequence[str], allow_empty: AllowEmpty) -> None:
    """Check that every class has pixels in ``splits``, but for splits without labels.

    Generated scenes may lack one, as nobody mislabeled them.

    Args:
        allow_empty: names of classes that may have none, or ``all``.

    Raises:
        UserError: a class has no pixel; the message names what is ignored instead, and how to go on.
    """
    if allow_empty == "all" or metadata.name == "shapes":
        return
    for name in allow_empty:
        if name not in metadata.classes:
            raise UserError(f"data.allow_empty: no class '{name}'{did_you_mean(name, metadata.classes)}")
    splits = [split for split in dict.fromkeys(splits) if metadata.split(split).labels]
    empty = {}
    for index, name in enumerate(metadata.classes):
        where = [split for split in splits if not metadata.split(split).class_images[index]]
        if where and name not in allow_empty:
            empty[name] = where
    if not empty:
        return
    lines = []
    for group in dict.fromkeys(map(tuple, empty.values())):
        names = [name for name, where in empty.items() if tuple(where) == group]
        rest = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
        lines.append(f"  in {' and '.join(group)}: {', '.join(names[:MOST_LISTED])}{rest}")
    affected = [split for split in splits if any(split in where for where in empty.values())]
    lines += [note for split in affected for note in _lone_class(metadata, split)]
    lines += _ignored_by_mistake(metadata, list(empty), affected)
    mend = "add labels of it, or move images between the splits"
    mend += "; or correct its raw value in classes.yaml" if metadata.name == "folder" else ""
    allowed = "all" if len(empty) > MOST_LISTED else _flow(list(empty))
    raise UserError(
        f"{len(empty)} of {len(metadata.classes)} classes have no pixel:\n" + "\n".join(lines) + "\n"
        f"To mend it, {mend}.\nIf this is as it should be, set data.allow_empty: {allowed}"
    )


def _lone_class(metadata: Metadata, split: str) -> list[str]:
    present = [
        name for name, images in zip(metadata.classes, metadata.split(split).class_images, strict=True) if images
    ]
    if not present:
        return [f"No pixel of {split} has a class, so it gives no score."]
    if len(present) == 1:
        return [f"Every labeled pixel of {split} is {present[0]}: to say so everywhere would score 100.0 mIoU there."]
    return []


def _ignored_by_mistake(metadata: Metadata, empty: Sequence[str], splits: Sequence[str]) -> list[str]:
    """Say which ignored raw values cover pixels where the missing class should be; only users' own sets have such."""
    if metadata.name != "folder":
        return []
    shares: dict[str, float] = {}
    for split in splits:
        for raw, share in metadata.split(split).ignored_values.items():
            shares[raw] = max(share, shares.get(raw, 0.0))
    lines = []
    for raw, share in shares.items():
        covers = f"{raw} is ignored, and covers {100 * share:.3g} % of the pixels"
        if len(empty) > 1:
            lines.append(f"{covers}: if it means one of these classes, write {{name: NAME, raw: {raw}}} for it.")
            continue
        others = [int(value) for value, mapped in metadata.label_map.items() if mapped == IGNORE and value != raw]
        lines.append(f"{covers}, while {empty[0]} has none: if {raw} means {empty[0]}, write in classes.yaml")
        lines += [f"  {line}" for line in _suggestion(metadata, empty[0], int(raw), others)]
    return lines


def _suggestion(metadata: Metadata, name: str, raw: int, ignored: list[int]) -> list[str]:
    """Lines of a classes.yaml in which class ``name`` has the value ``raw``."""
    entries: list[object] = []
    for train_id, other in enumerate(metadata.classes):
        values = [int(value) for value, mapped in metadata.label_map.items() if mapped == train_id]
        values = [raw] if other == name else values
        plain = values == [train_id]
        entries.append(other if plain else {"name": other, "raw": values[0] if len(values) == 1 else values})
    if len(entries) > MOST_WRITTEN:
        entries = [entry for entry in entries if isinstance(entry, dict) and entry["name"] == name]
    lines = [f"classes: {_flow(entries)}", f"ignore: {_flow(ignored)}"]
    return lines if len(metadata.classes) <= MOST_WRITTEN else [_flow(entries)[1:-1]]


def _flow(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False, allow_unicode=True).strip()
