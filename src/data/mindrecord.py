"""MindRecord files of a data set, with metadata and a manifest; written whole or not at all.

A folder of records holds ``{split}.mindrecord*`` for each split, ``metadata.json`` (`Metadata`) and
``manifest.json`` (size and SHA-256 of every file). The columns are the image file's bytes, the label as PNG of
train ids, the name, and the size.
"""

import json
import shutil
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from mindspore.mindrecord import FileWriter
from tqdm import tqdm

from src.data.catalog import IGNORE, DatasetInfo, load_dataset_info
from src.data.folders import Sample, list_samples, with_label_map
from src.data.label_check import check_image, encode_png, largest_row, map_label, sample_size
from src.data.shapes import scene
from src.errors import UserError, listing
from src.files import sha256
from src.parallel import local_rank, rank, wait_for_all
from src.schema.data import DataConfig, ShapesConfig

SCHEMA_VERSION = 1
COLUMNS = {
    "image": {"type": "bytes"},
    "label": {"type": "bytes"},
    "name": {"type": "string"},
    "height": {"type": "int32"},
    "width": {"type": "int32"},
}
LARGEST_PAGE = 1 << 28


@dataclass(frozen=True)
class Split:
    """Facts about one split."""

    count: int
    size: list[int] | None  # [H, W] if all images have one size
    class_share: list[float]  # share of each class in the labeled pixels
    ignored_share: float  # share of ignored pixels in all pixels


@dataclass(frozen=True)
class Metadata:
    """What a folder of records is about."""

    schema_version: int
    name: str
    classes: list[str]
    colors: list[list[int]]
    label_map: dict[str, int]
    ignore_index: int
    source: dict
    splits: dict[str, Split]

    def split(self, name: str) -> Split:
        """Return one split's facts.

        Raises:
            UserError: the records have no such split.
        """
        if name not in self.splits:
            raise UserError(f"the records have no split '{name}' (there are {', '.join(self.splits)}); prepare it")
        return self.splits[name]


class _Row:
    """One sample on its way into a record."""

    def __init__(self, name: str, image: bytes, label: np.ndarray):
        self.name, self.image, self.label = name, image, label

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
) -> Metadata:
    """Write the records of ``splits`` into the folder ``output``.

    Everything is written into a folder beside it, which is renamed when it is complete. (The files themselves
    must keep their names: a renamed MindRecord file silently reads the original.)

    Args:
        shapes: settings of the synthetic set, when ``info`` is ``shapes``; ``root`` is not used then.
        overwrite: replace an existing folder, once the new one is complete.

    Raises:
        UserError: bad or missing files (all are listed), an existing output, or an unwritable folder.
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
    """Refuse to replace existing records unless asked to, and anything that is not a folder of records ever."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not output.is_dir() or not (output / "manifest.json").is_file():
        raise UserError(f"{output} exists and is not a folder of records; choose another folder")
    if not overwrite:
        raise UserError(f"{output} exists already; use --overwrite to replace it, or another --output")


@dataclass(frozen=True)
class _Source:
    """The rows of a split, and what the writer has to know before the first of them."""

    rows: Iterable[_Row]
    count: int
    largest: int  # bytes that no row exceeds
    total: int  # bytes of all rows, roughly


def _source(info: DatasetInfo, root, split: str, shapes: ShapesConfig | None) -> _Source:
    """Open a split; whatever is missing is found before anything is written."""
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
        image, label = scene(shapes.seed, split, index, tuple(shapes.size))
        yield _Row(f"{split}_{index:05d}", encode_png(image), label)


def _file_rows(samples: list[Sample], info: DatasetInfo) -> Iterator[_Row]:
    """Checked samples; after a first bad one only checks go on, and all bad ones are reported together."""
    problems = []
    for sample in samples:
        try:
            data, size = check_image(sample.image)
            label = map_label(sample.label, info, size)
        except UserError as error:
            problems.append(str(error))
            continue
        if not problems:
            yield _Row(sample.name, data, label)
    if problems:
        raise UserError(f"{len(problems)} of {len(samples)} samples are not usable:\n{listing(problems)}")


def _write_split(path: Path, rows: Iterable[_Row], source: _Source, info: DatasetInfo, shards: int) -> Split:
    """Write a split, each shard a run of consecutive samples, so that the order is that of the names."""
    pixels = np.zeros(256, np.int64)
    sizes = set()
    ends = [source.count * (shard + 1) // min(shards, source.count) for shard in range(min(shards, source.count))]
    writer = None
    for number, row in enumerate(rows):
        pixels += np.bincount(row.label.ravel(), minlength=256)
        sizes.add(row.label.shape)
        if writer is None:
            shard = bisect_right(ends, number)
            suffix = f"{shard:0{len(str(len(ends) - 1))}d}" if len(ends) > 1 else ""
            writer = _writer(path.with_name(path.name + suffix), source)
        writer.write_raw_data([row.columns()])
        if number + 1 in ends:
            writer.commit()
            writer = None
    labeled = max(int(pixels[:IGNORE].sum()), 1)
    shares = (pixels[: len(info.classes)] / labeled).round(8).tolist()
    size = list(sizes.pop()) if len(sizes) == 1 else None
    return Split(source.count, size, shares, round(float(pixels[IGNORE] / pixels.sum()), 8))


def _writer(path: Path, source: _Source) -> FileWriter:
    """A writer without the 50 MB a file that is the default.

    A page has to hold the largest row, and the header the list of all pages, about 200 bytes for each.
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


def read_metadata(records: str | Path) -> Metadata:
    """Read ``metadata.json``.

    Raises:
        UserError: there are no records, or they were written by another version.
    """
    path = Path(records) / "metadata.json"
    if not path.is_file():
        raise UserError(f"data.records: no records in {records} (metadata.json is missing)")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        splits = {name: Split(**split) for name, split in values.pop("splits").items()}
        metadata = Metadata(**values, splits=splits)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path} is damaged{again(records)}") from None
    if metadata.schema_version != SCHEMA_VERSION:
        raise UserError(f"{path}: version {metadata.schema_version}, expected {SCHEMA_VERSION}{again(records)}")
    return metadata


def check_records(records: str | Path) -> None:
    """Compare every file with the manifest: existence, size and SHA-256 (about 1 GB a second).

    MindSpore's own errors on damaged records are obscure, and some damage only ends an epoch early.

    Raises:
        UserError: names the file that is missing, truncated or changed.
    """
    folder = Path(records)
    try:
        files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
        files = {str(name): (int(facts["bytes"]), str(facts["sha256"])) for name, facts in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise UserError(f"{folder / 'manifest.json'} is missing or damaged{again(records)}") from None
    present = {path.name for path in folder.iterdir() if path.is_file()}
    for name, (size, digest) in files.items():
        path = folder / name
        if name not in present:
            raise UserError(f"{path} is missing{again(records)}")
        if path.stat().st_size != size:
            raise UserError(f"{path} has {path.stat().st_size} bytes, expected {size}{again(records)}")
        if sha256(path) != digest:
            raise UserError(f"{path} does not match its checksum: it is damaged{again(records)}")


def again(records: str | Path) -> str:
    """The mend for damaged records."""
    return f"; remove the folder {records} and prepare the data again"


def ensure_records(data: DataConfig) -> Metadata:
    """Check the records of a configuration, or write them when they are missing, and say so.

    Of several workers the first goes ahead, then the first of every machine, which may have a disk of its own; the
    others then find the records complete.

    Raises:
        UserError: damaged records, or records of another data set than the config describes.
    """
    turn = 0 if rank() == 0 else 1 if local_rank() == 0 else 2
    for number in range(3):
        if number == turn:
            metadata = _ensure_records(data)
        if number < 2:
            wait_for_all()
    return metadata


def _ensure_records(data: DataConfig) -> Metadata:
    records = Path(data.records)
    info = None
    if data.name != "folder" or data.root or data.classes:
        info = load_dataset_info(data.name, data.root, data.classes)
    if not records.exists() or (records.is_dir() and not any(records.iterdir())):
        if data.name != "shapes" and not data.root:
            raise UserError(f"data.records: {records} does not exist, and data.root is not given to prepare it from")
        splits = list(dict.fromkeys((data.train_split, data.val_split)))
        source = "generated scenes" if data.name == "shapes" else data.root
        print(f"preparing {records} from {source} ({', '.join(splits)})", flush=True)
        shapes = data.shapes if data.name == "shapes" else None
        return write_records(info, data.root, records, splits, data.shards, shapes)
    metadata = read_metadata(records)
    check_records(records)
    _check_same(metadata, info, data)
    for split in (data.train_split, data.val_split):
        metadata.split(split)
    return metadata


def _check_same(metadata: Metadata, info: DatasetInfo | None, data: DataConfig) -> None:
    found, expected = metadata.name, data.name
    if found == expected and info is not None:
        found, expected = metadata.classes, list(info.classes)
        label_maps = [info.label_map, *(layout.label_map for layout in info.layouts if layout.label_map)]
        written = {int(raw): train_id for raw, train_id in metadata.label_map.items()}
        if found == expected and written not in label_maps:
            found, expected = "another label map", "that of its data set"
    if found == expected and data.name == "shapes":
        found, expected = metadata.source["shapes"], data.shapes.model_dump()
    if found != expected:
        raise UserError(
            f"data.records: {data.records} holds {found}, the config describes {expected}; "
            "name another folder, or remove that one to have it written again"
        )
