"""Writing the MindRecord files of a data set (see ``records``), whole or not at all."""

import json
import shutil
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from mindspore.mindrecord import FileWriter
from tqdm import tqdm

from src.data.class_check import AllowEmpty, check_classes
from src.data.decoding import encode_png
from src.data.folders import Sample, list_samples, with_label_map
from src.data.info import IGNORE, DatasetInfo
from src.data.label_check import check_sample, largest_row, sample_size
from src.data.records import SCHEMA_VERSION, Metadata, Split
from src.data.shapes import scene
from src.data.statistics import SplitCounter
from src.errors import UserError, listing
from src.files import sha256
from src.schema.data import ShapesConfig

COLUMNS = {
    "image": {"type": "bytes"},
    "label": {"type": "bytes"},
    "name": {"type": "string"},
    "height": {"type": "int32"},
    "width": {"type": "int32"},
}
LARGEST_PAGE = 1 << 28


@dataclass(frozen=True)
class _Row:
    """One sample on its way into a record."""

    name: str
    image: bytes
    label: np.ndarray
    ignored: dict[int, int] = field(default_factory=dict)  # raw value without a class -> its pixels
    notes: tuple[str, ...] = ()  # what was done to the image

    def columns(self) -> dict:
        height, width = self.label.shape
        image, label = self.image, encode_png(self.label)
        return {"image": image, "label": label, "name": self.name, "height": height, "width": width}


def write_records(
    info: DatasetInfo,
    root: str | Path | None,
    output: str | Path,
    splits: Sequence[str] = ("train", "val"),
    shards: int = 1,
    shapes: ShapesConfig | None = None,
    overwrite: bool = False,
    allow_empty: AllowEmpty = (),
) -> Metadata:
    """Write the records of ``splits`` into the folder ``output``.

    Everything is written into a temporary folder beside it, which is renamed when complete. (The files themselves must
    keep their names: a renamed MindRecord file silently reads the original.)

    Args:
        shapes: settings of the synthetic set, when ``info`` is ``shapes``; ``root`` is not used then.
        overwrite: replace an existing folder, once the new one is complete.
        allow_empty: classes that may have no pixel (see `check_classes`).

    Raises:
        UserError: bad or missing files (all are listed), a class without a pixel, an existing output, or an unwritable
            folder.
    """
    output = Path(output)
    _check_output(output, overwrite)
    if info.layouts:  # all splits of a set lie in one layout
        info = with_label_map(info, root, splits[0])
    sources = {split: _source(info, root, split, shapes) for split in splits}
    beside, replaced = (output.with_name(f".{output.name}.{state}") for state in ("writing", "replaced"))
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        facts = {}
        for split, source in sources.items():
            with tqdm(source.rows, total=source.count, desc=f"write {split}", unit="image", disable=None) as bar:
                facts[split] = _write_split(beside / f"{split}.mindrecord", bar, source, info, shards)
        metadata = Metadata(
            SCHEMA_VERSION, info.name, list(info.classes), [list(color) for color in info.colors],
            {str(raw): train_id for raw, train_id in info.label_map.items()}, IGNORE,
            {"root": str(root) if root else None, "shapes": shapes.model_dump() if shapes else None}, facts,
        )  # fmt: skip
        check_classes(metadata, splits, allow_empty)
        (beside / "metadata.json").write_text(json.dumps(asdict(metadata), indent=2) + "\n", encoding="utf-8")
        _write_manifest(beside)
        if output.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            output.rename(replaced)
        beside.rename(output)
        shutil.rmtree(replaced, ignore_errors=True)
    except OSError as error:
        raise UserError(f"{output}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return metadata


def _check_output(output: Path, overwrite: bool) -> None:
    """Refuse to replace existing records unless asked to, and never replace anything else."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not output.is_dir() or not (output / "manifest.json").is_file():
        raise UserError(f"{output} exists and is not a folder of records; choose another folder")
    if not overwrite:
        raise UserError(f"{output} exists already; use --overwrite to replace it, or another --output")


@dataclass(frozen=True)
class _Source:
    """The rows of a split, and what the writer must know before the first one."""

    rows: Iterable[_Row]
    count: int
    largest: int  # bytes that no row exceeds
    total: int  # bytes of all rows, roughly


def _source(info: DatasetInfo, root, split: str, shapes: ShapesConfig | None) -> _Source:
    """Open a split, so that missing files are found before anything is written."""
    if info.name == "shapes":
        shapes = shapes or ShapesConfig()
        count = getattr(shapes, split, None) if split in ("train", "val") else None
        if count is None:
            raise UserError(f"the synthetic set has the splits train and val, not '{split}'")
        largest = largest_row(3 * shapes.size[0] * shapes.size[1], shapes.size)
        return _Source(_shape_rows(shapes, split, count), count, largest, count * largest)
    samples = list_samples(info, root, split)
    sizes = [sample_size(sample.image, sample.label) for sample in samples]
    return _Source(_file_rows(samples, info), len(samples), max(sizes), sum(sizes))


def _shape_rows(shapes: ShapesConfig, split: str, count: int) -> Iterator[_Row]:
    for index in range(count):
        image, label = scene(shapes.seed, split, index, shapes.size)
        yield _Row(f"{split}_{index:05d}", encode_png(image), label)


def _file_rows(samples: list[Sample], info: DatasetInfo) -> Iterator[_Row]:
    """Yield checked samples; after a bad one only the checks continue, and all bad ones are reported together."""
    problems = []
    for sample in samples:
        try:
            checked = check_sample(sample.image, sample.label, info)
        except UserError as error:
            problems.append(str(error))
            continue
        if not problems:
            yield _Row(sample.name, checked.image.data, checked.label, checked.ignored, checked.image.notes)
    if problems:
        raise UserError(f"{len(problems)} of {len(samples)} samples are not usable:\n{listing(problems)}")


def _write_split(path: Path, rows: Iterable[_Row], source: _Source, info: DatasetInfo, shards: int) -> Split:
    """Write a split; each shard holds consecutive samples, so the records are in the order of the names."""
    counter = SplitCounter(len(info.classes))
    ends = [source.count * (shard + 1) // min(shards, source.count) for shard in range(min(shards, source.count))]
    writer = None
    for number, row in enumerate(rows):
        counter.add(row.label, row.ignored, row.notes)
        if writer is None:
            shard = bisect_right(ends, number)
            suffix = f"{shard:0{len(str(len(ends) - 1))}d}" if len(ends) > 1 else ""
            writer = _writer(path.with_name(path.name + suffix), source)
        writer.write_raw_data([row.columns()])
        if number + 1 in ends:
            writer.commit()
            writer = None
    return counter.facts()


def _writer(path: Path, source: _Source) -> FileWriter:
    """Return a writer whose files do not start at the default 50 MB.

    A page must hold the largest row, and the header the list of all pages, about 200 bytes each.
    """
    page = 1 << 20
    while page < min(max(2 * source.largest, source.total // 1000), LARGEST_PAGE):
        page *= 2
    writer = FileWriter(str(path), shard_num=1)
    writer.set_header_size(1 << 20)
    writer.set_page_size(page)
    writer.add_schema(COLUMNS, "segmentation sample")
    return writer


def _write_manifest(folder: Path) -> None:
    files = {p.name: {"bytes": p.stat().st_size, "sha256": sha256(p)} for p in sorted(folder.iterdir())}
    (folder / "manifest.json").write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")
