"""What an inspection found, in words and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from src.data.class_check import check_classes
from src.data.info import IGNORE, DatasetInfo
from src.data.inspection.measure import SplitReport
from src.data.records import SCHEMA_VERSION, Metadata
from src.data.scale_check import scale_warning
from src.errors import UserError
from src.schema.data import DataConfig

Pairs = Sequence[tuple[str, str, int]]


def describe_values(report: SplitReport, info: DatasetInfo) -> list[str]:
    """One line per raw value: what it means, its share of all pixels, and in how many images it is."""
    total = sum(report.pixels.values())
    of_classes = {value for value, train_id in info.label_map.items() if train_id != IGNORE}
    lines = []
    for value in sorted({*report.pixels, *of_classes}):
        train_id = info.label_map.get(value)
        meaning = (
            "NOT IN THE MAP" if train_id is None else "(ignored)" if train_id == IGNORE else info.classes[train_id]
        )
        share = 100 * report.pixels.get(value, 0) / total
        lines.append(f"{value:>5}  {meaning:<24}{share:>10.4f} %  in {report.images.get(value, 0)} images")
    return lines


def as_metadata(info: DatasetInfo, reports: Mapping[str, SplitReport]) -> Metadata:
    """The metadata that records of the set would have."""
    label_map = {str(raw): train_id for raw, train_id in info.label_map.items()}
    facts = {split: report.facts for split, report in reports.items()}
    colors = [list(color) for color in info.colors]
    return Metadata(SCHEMA_VERSION, info.name, list(info.classes), colors, label_map, IGNORE, {}, facts)


def warnings(metadata: Metadata, reports: Mapping[str, SplitReport], data: DataConfig) -> Iterator[str]:
    """What would stop a training on this data, and what it would warn of."""
    known = {int(raw) for raw in metadata.label_map}
    unknown = sorted({value for report in reports.values() for value in report.pixels} - known)
    if unknown:
        yield f"training would stop: label values outside the map: {', '.join(map(str, unknown))}"
    try:
        check_classes(metadata, list(metadata.splits), data.allow_empty)
    except UserError as error:
        yield f"training would stop: {error}"
    if data.train_split in metadata.splits and (warning := scale_warning(metadata, data)):
        yield warning


def as_json(reports: Mapping[str, SplitReport], pairs: Pairs, weights: Sequence[float]) -> dict:
    """The contents of inspection.json."""
    return {
        "splits": {
            split: {
                **asdict(report.facts),
                "raw_values": {str(value): report.pixels[value] for value in sorted(report.pixels)},
                "without_class": report.unlabeled,
                "not_usable": report.problems,
                "all_sizes": [[*size, count] for size, count in sorted(report.sizes.items())],
            }
            for split, report in reports.items()
        },
        "near_duplicates": [list(pair) for pair in pairs],
        "class_weights": list(weights),
    }
