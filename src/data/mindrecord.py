"""Writing the MindRecord files of a data set (see ``records``), whole or not at all."""

import fcntl
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from src.data.class_check import AllowEmpty, check_classes
from src.data.folders import with_label_map
from src.data.in_order import in_order
from src.data.info import IGNORE, DatasetInfo
from src.data.records import SCHEMA_VERSION, Metadata, Split, describe_file
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

    Raises:
        UserError: bad or missing files (all are listed), a class without a pixel, an existing output, or an unwritable
            folder.
    """
    output = Path(output)
    _check_output(output, overwrite)
    if info.layouts:  # all splits of a set lie in one layout
        info = with_label_map(info, root, splits[0])
    sources = {split: _source(info, root, split, shapes) for split in splits}
    beside = output.with_name(f".{output.name}.writing")
    try:
        with _working_folder(beside):
            records, notes = beside / "records", beside / "notes"
            facts = {}
            for split, source in sources.items():
                files = _shards(records / f"{split}.mindrecord", notes, info, source, shards)
                facts[split] = _write_split(split, files, source, len(info.classes), workers)
            metadata = Metadata(
                SCHEMA_VERSION, info.name, list(info.classes), [list(color) for color in info.colors],
                {str(raw): train_id for raw, train_id in info.label_map.items()}, IGNORE,
                {"root": str(root) if root else None, "shapes": shapes.model_dump() if shapes else None}, facts,
            )  # fmt: skip
            check_classes(metadata, splits, allow_empty)
            write_text(records / "metadata.json", json.dumps(asdict(metadata), indent=2) + "\n")
            _write_manifest(records, notes)
            _put_in_place(records, output)
    except OSError as error:
        raise UserError(f"{output}: cannot be written ({error.strerror or error})") from None
    return metadata


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


def _write_manifest(records: Path, notes: Path) -> None:
    """Sizes and checksums of all files; the shards' were taken when they were finished."""
    files: dict[str, dict] = {"metadata.json": describe_file(records / "metadata.json")}
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
