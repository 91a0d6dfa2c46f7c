"""Writing the MindRecord files of a data set (see ``records``), whole or not at all."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from src.data.class_check import AllowEmpty, check_classes
from src.data.folders import with_label_map
from src.data.in_order import in_order
from src.data.info import IGNORE, DatasetInfo
from src.data.records import SCHEMA_VERSION, Metadata, Split, check_records, describe_file, read_metadata
from src.data.shards import Shard
from src.data.sources import Files, Row, Scenes, Source
from src.data.statistics import SplitCounter
from src.errors import UserError, listing
from src.files import write_text
from src.schema.data import ShapesConfig

SHARD_BYTES = 1 << 30  # so much at most is written again after an interruption
MOST_SHARDS = 1000


def write_records(
    info: DatasetInfo,
    root: str | Path | None,
    output: str | Path,
    splits: Sequence[str] = ("train", "val"),
    shards: int | None = None,
    shapes: ShapesConfig | None = None,
    overwrite: bool = False,
    allow_empty: AllowEmpty = (),
    workers: int | None = None,
    add: bool = False,
) -> Metadata:
    """Write the records of ``splits`` into the folder ``output``.

    Everything is written into a hidden folder beside it (``.NAME.writing``), and the folder inside is renamed when
    complete. (The files themselves must keep their names: a renamed MindRecord file silently reads the original.) If
    the work is interrupted, the hidden folder stays, and the next run takes the finished shards from it; bad samples
    leave nothing behind. The files are the same bytes for any number of workers.

    Args:
        shards: files per split; None: one per GiB.
        shapes: settings of the synthetic set, when ``info`` is ``shapes``; ``root`` is not used then.
        overwrite: replace an existing folder, once the new one is complete.
        allow_empty: classes that may have no pixel (see `check_classes`).
        workers: threads; None: one per core. At most twice as many samples are in memory.
        add: the folder holds records, which gain these splits. Their other files stay as they are: the new folder links
            them, so no byte is copied.

    Raises:
        UserError: bad or missing files (all are listed), a class without a pixel, an existing output, or an unwritable
            folder; with ``add`` also records of other classes, or that have a split of that name.
    """
    output = Path(output)
    if add:
        before = _records_without(output, splits)
    else:
        _check_output(output, overwrite)
        origin = {"root": str(root) if root else None, "shapes": shapes.model_dump() if shapes else None}
        colors = [list(color) for color in info.colors]
        before = Metadata(SCHEMA_VERSION, info.name, list(info.classes), colors, {}, IGNORE, origin, {})
    if info.layouts:  # all splits of a set lie in one layout
        info = with_label_map(info, root, splits[0])
    sources = {split: _source(info, root, split, shapes) for split in splits}
    metadata = _with_label_map_of(before, info, output, any(source.labels for source in sources.values()))
    beside = output.with_name(f".{output.name}.writing")
    try:
        with _working_folder(beside):
            records, notes = beside / "records", beside / "notes"
            _forget_others(records, notes, splits)
            facts = {}
            for split, source in sources.items():
                files = _shards(records / f"{split}.mindrecord", notes, info, source, shards)
                facts[split] = _write_split(split, files, source, len(info.classes), workers)
            metadata = replace(metadata, splits={**metadata.splits, **facts})
            check_classes(metadata, splits, allow_empty)
            write_text(records / "metadata.json", json.dumps(asdict(metadata), indent=2) + "\n")
            _write_manifest(records, notes, _link_files(output, records) if add else {})
            _put_in_place(records, output)
    except OSError as error:
        raise UserError(f"{output}: cannot be written ({error.strerror or error})") from None
    return metadata


def _records_without(output: Path, splits: Sequence[str]) -> Metadata:
    """Metadata of records that are whole and have none of these splits."""
    metadata = read_metadata(output)
    check_records(output)
    for split in splits:
        if split in metadata.splits:
            raise UserError(f"{output} has the split '{split}' already; use --overwrite to write all splits again")
    return metadata


def _with_label_map_of(metadata: Metadata, info: DatasetInfo, output: Path, labeled: bool) -> Metadata:
    """``metadata`` with the label map of ``info``, which must be that of the splits that are there."""
    label_map = {str(raw): train_id for raw, train_id in info.label_map.items()}
    if not metadata.splits:
        return replace(metadata, label_map=label_map)
    same = metadata.name == info.name and metadata.classes == list(info.classes)
    if not same or (labeled and metadata.label_map != label_map):
        raise UserError(
            f"{output}: holds {metadata.name} with {len(metadata.classes)} classes, and the split to add has another "
            "name, other classes or another label map; write it into a folder of its own"
        )
    return metadata


def _forget_others(records: Path, notes: Path, splits: Sequence[str]) -> None:
    """Remove what an interrupted run left of other splits."""
    for path in (*records.iterdir(), *notes.iterdir()):
        if not any(path.name.startswith(f"{split}.mindrecord") for split in splits):
            path.unlink()


def _link_files(before: Path, folder: Path) -> dict[str, dict]:
    """Give the files of records a second name in another folder; return their entries in the manifest."""
    files = json.loads((before / "manifest.json").read_text(encoding="utf-8"))["files"]
    kept = {name: facts for name, facts in files.items() if name != "metadata.json"}
    for name in kept:
        try:
            os.link(before / name, folder / name)
        except OSError:  # a file system without links
            shutil.copy2(before / name, folder / name)
    return kept


def _check_output(output: Path, overwrite: bool) -> None:
    """Refuse to replace existing records unless asked to, and never replace anything else."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not output.is_dir() or not (output / "manifest.json").is_file():
        raise UserError(f"{output} exists and is not a folder of records; choose another folder")
    if not overwrite:
        raise UserError(f"{output} exists already; use --overwrite to replace it, or another --output")


@contextmanager
def _working_folder(folder: Path) -> Iterator[None]:
    """Make the hidden folder, for this process alone; it is kept only if an interruption leaves finished shards."""
    (folder / "records").mkdir(parents=True, exist_ok=True)
    (folder / "notes").mkdir(exist_ok=True)
    keep = False
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another process is writing these records; wait until it has finished") from None
        except OSError:
            pass  # a file system without locks
        try:
            yield
        except (KeyboardInterrupt, OSError):
            keep = any((folder / "notes").iterdir())
            raise
        finally:
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)


def _source(info: DatasetInfo, root, split: str, shapes: ShapesConfig | None) -> Source:
    """Open a split, so that missing files are found before anything is written."""
    if info.name == "shapes":
        return Scenes(shapes or ShapesConfig(), split)
    return Files(info, root, split)


def _shards(path: Path, notes: Path, info: DatasetInfo, source: Source, count: int | None) -> list[Shard]:
    """Divide a split; each shard holds consecutive samples, so the records are in the order of the names."""
    count = min(count or -(-source.total // SHARD_BYTES), MOST_SHARDS, len(source))
    ends = [len(source) * shard // count for shard in range(count + 1)]
    width = len(str(count - 1))
    names = [f"{path.name}{shard:0{width}d}" if count > 1 else path.name for shard in range(count)]
    known = {name for shard in names for name in (shard, f"{shard}.db")}
    for other in path.parent.glob(f"{path.name}*"):  # of an earlier run with another number of shards
        if other.name not in known:
            other.unlink()
            (notes / f"{other.name}.json").unlink(missing_ok=True)
    return [
        Shard(path.with_name(name), notes, info, source, *ends[shard : shard + 2]) for shard, name in enumerate(names)
    ]


def _write_split(split: str, shards: list[Shard], source: Source, classes: int, workers: int | None) -> Split:
    """Write the shards that no earlier run has finished.

    After a bad sample only the checks continue, and all bad ones are reported together.
    """
    total, missing = SplitCounter(classes), []
    for shard in shards:
        counted = shard.finished()
        if counted:
            total.add(counted)
        else:
            missing.append(shard)
    done = len(source) - sum(len(shard.samples) for shard in missing)
    if done:
        print(f"continuing an interrupted run: {done} of {len(source)} images of {split} are written", flush=True)
    indices = (index for shard in missing for index in shard.samples)
    bar = tqdm(
        in_order(partial(_load, source), indices, workers),
        total=len(source), initial=done, desc=f"write {split}", unit="image", disable=None,
    )  # fmt: skip
    with bar:
        rows = iter(bar)
        for shard in missing:
            total.add(shard.write(_usable(islice(rows, len(shard.samples)), rows, len(source))))
    return total.facts(source.labels)


def _load(source: Source, index: int) -> Row | UserError:
    """A sample, or what is wrong with it."""
    try:
        return source.load(index)
    except UserError as error:
        return error


def _usable(rows: Iterator[Row | UserError], rest: Iterator[Row | UserError], count: int) -> Iterator[Row]:
    """Yield ``rows``; at the first problem look for others in ``rest`` and report all."""
    for row in rows:
        if isinstance(row, UserError):
            problems = [str(row), *(str(other) for other in rest if isinstance(other, UserError))]
            raise UserError(f"{len(problems)} of {count} samples are not usable:\n{listing(problems)}")
        yield row


def _write_manifest(records: Path, notes: Path, others: dict[str, dict]) -> None:
    """Sizes and checksums of all files; the shards' were taken when they were finished, ``others`` are known."""
    files: dict[str, dict] = {**others, "metadata.json": describe_file(records / "metadata.json")}
    for note in sorted(notes.iterdir()):
        files.update(json.loads(note.read_text(encoding="utf-8"))["files"])
    write_text(records / "manifest.json", json.dumps({"files": dict(sorted(files.items()))}, indent=1) + "\n")


def _put_in_place(records: Path, output: Path) -> None:
    replaced = output.with_name(f".{output.name}.replaced")
    if output.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        output.rename(replaced)
    records.rename(output)
    shutil.rmtree(replaced, ignore_errors=True)
