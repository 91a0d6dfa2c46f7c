"""The records of a configuration: checked, or written when they are missing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.data.catalog import load_dataset_info
from src.data.class_check import check_classes
from src.data.info import DatasetInfo
from src.data.mindrecord import write_records
from src.data.records import Metadata, check_records, contents, read_metadata
from src.errors import UserError
from src.parallel import as_counts, gather_counts, local_rank, rank, wait_for_all, world_size
from src.schema.data import DataConfig


def ensure_records(data: DataConfig, splits: Sequence[str] | None = None) -> Metadata:
    """Check the records of a configuration, or write them when they are missing, and say so.

    One worker of each machine does it while the others wait: first that of rank 0; then, if there are several machines,
    the first one of each other machine, which finds the records complete if the machines share the folder.

    Args:
        splits: those that are used, and have to hold every class; default: of training and of validation. What the
            records lack of them is added if ``data.root`` is given.

    Raises:
        UserError: damaged records, records of another data set than the config describes, other records than those of
            another machine, or a class without a pixel.
    """
    used = splits or (data.train_split, data.val_split)
    if rank() == 0:
        _ensure_records(data, used)
    wait_for_all()
    if rank() > 0 and local_rank() == 0:
        _ensure_records(data, used)
    wait_for_all()
    _check_same_everywhere(Path(data.records))
    return read_metadata(data.records)


def _check_same_everywhere(records: Path) -> None:
    """Machines that each wrote records of their own may have had different images."""
    if world_size() == 1:
        return
    found = gather_counts(np.array(as_counts(contents(records)), np.int64))
    different = [worker for worker in range(len(found)) if (found[worker] != found[0]).any()]
    if different:
        names = ", ".join(f"worker {worker}" for worker in different[:7])
        raise UserError(
            f"data.records: {records} of {names} holds other images or labels than that of worker 0; expected the "
            "same on all machines; compare data.root, and remove the wrong records to have them written again"
        )


def _ensure_records(data: DataConfig, used: Sequence[str]) -> None:
    records = Path(data.records)
    info = None
    if data.name != "folder" or data.root or data.classes:
        info = load_dataset_info(data.name, data.root, data.classes, data.label_form)
    if not records.exists() or (records.is_dir() and not any(records.iterdir())):
        if info is None or (data.name != "shapes" and not data.root):
            raise UserError(f"data.records: {records} does not exist, and data.root is not given to prepare it from")
        splits = list(dict.fromkeys((data.train_split, data.val_split, *used)))
        source = "generated scenes" if data.name == "shapes" else data.root
        print(f"preparing {records} from {source} ({', '.join(splits)})", flush=True)
        shapes = data.shapes if data.name == "shapes" else None
        write_records(info, data.root, records, splits, data.shards, shapes, allow_empty=data.allow_empty)
        return
    metadata = read_metadata(records)
    check_records(records, data.verify == "full")
    _check_same(metadata, info, data)
    missing = [split for split in used if split not in metadata.splits]
    if missing and info is not None and data.root:
        print(f"adding {', '.join(missing)} from {data.root} to {records}", flush=True)
        metadata = write_records(info, data.root, records, missing, data.shards, allow_empty=data.allow_empty, add=True)
    for split in (data.train_split, data.val_split, *used):
        metadata.split(split)
    check_classes(metadata, used, data.allow_empty)


def _check_same(metadata: Metadata, info: DatasetInfo | None, data: DataConfig) -> None:
    found: object = metadata.name
    expected: object = data.name
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
