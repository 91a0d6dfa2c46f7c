"""What is in the splits, for the console: before a training, after writing records."""

from collections.abc import Sequence

from src.data.records import Metadata, Split

MOST_LISTED = 24  # classes; of longer lists the rarest ones, which matter most


def summarize(metadata: Metadata, splits: Sequence[str], most: int = MOST_LISTED) -> str:
    """A table of the classes, with share of the labeled pixels and number of images, and lines about the images.

    Args:
        most: classes that are listed at most.
    """
    splits = list(dict.fromkeys(splits))
    facts = [metadata.split(split) for split in splits]
    order = list(range(len(metadata.classes)))
    left_out = max(len(order) - most, 0)
    if left_out:
        rarest = sorted(order, key=lambda index: facts[0].class_share[index])[:most]
        order = [index for index in order if index in rarest]
    names = [metadata.classes[index] for index in order]
    title = "class (the rarest)" if left_out else "class"
    width = max(map(len, [*names, title, "(ignored)"]))
    lines = [f"{title:<{width}}" + "".join(f"{f'{split}, %':>14}{'images':>9}" for split in splits)]
    for index, name in zip(order, names, strict=True):
        values = ((split.class_share[index], split.class_images[index]) for split in facts)
        lines.append(f"{name:<{width}}" + "".join(f"{_percent(share):>14}{images:>9}" for share, images in values))
    if left_out:
        lines.append(f"({left_out} classes with more pixels are not shown)")
    lines.append(f"{'(ignored)':<{width}}" + "".join(f"{_percent(s.ignored_share):>14}{'':>9}" for s in facts))
    return "\n".join([*lines, *(f"{name}: {_describe(split)}" for name, split in zip(splits, facts, strict=True))])


def _describe(split: Split) -> str:
    size = "x".join(map(str, split.sizes["median"]))
    if not split.size:
        smallest, largest = ("x".join(map(str, split.sizes[key])) for key in ("smallest", "largest"))
        size = f"{smallest} to {largest}, median {size}"
    parts = [f"{split.count} images of {size}"]
    if not split.labels:
        parts.append("without labels")
    elif split.unlabeled:
        parts.append(f"{split.unlabeled} without any labeled pixel")
    return "; ".join([*parts, *(f"{count} {note}" for note, count in split.notes.items())])


def _percent(share: float) -> str:
    """Two digits, and more for a small share, so that only an empty class shows as 0."""
    if share == 0:
        return "0"
    return f"{100 * share:.2f}" if share >= 0.0005 else f"{100 * share:.1g}"
