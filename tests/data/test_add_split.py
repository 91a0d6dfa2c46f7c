"""Records gain a split; what they hold stays as it is."""

import json

import pytest

from src.data.catalog import load_dataset_info
from src.data.mindrecord import write_records
from src.data.pipeline import EvalPipeline
from src.data.records import check_records, read_metadata
from src.errors import UserError
from tests.data.raw_data import CLASSES, folder_config, write_raw


@pytest.fixture
def root(tmp_path):
    return write_raw(tmp_path / "raw", {"train": 3, "val": 2, "test": 2, "more": 1})


@pytest.fixture
def records(root, tmp_path):
    folder = tmp_path / "records"
    write_records(load_dataset_info("folder", root), root, folder, ["train", "val"])
    return folder


def add(records, root, *splits):
    return write_records(load_dataset_info("folder", root), root, records, splits, add=True)


def files(records):
    """Of every file but the two that describe the folder: where its bytes are on the disk, and when they changed."""
    state = {path.name: path.stat() for path in records.glob("*.mindrecord*")}
    return {name: (one.st_ino, one.st_mtime_ns) for name, one in state.items()}


def test_the_other_files_stay(records, root):
    before, facts = files(records), read_metadata(records)
    add(records, root, "test", "more")
    metadata = read_metadata(records)
    assert list(metadata.splits) == ["train", "val", "test", "more"]
    assert {name: metadata.splits[name] for name in facts.splits} == facts.splits
    assert files(records).items() >= before.items()
    check_records(records, full=True)
    names = {
        split: [name for *_, name in EvalPipeline(records, split, folder_config(records))] for split in metadata.splits
    }
    assert names == {
        "train": ["img00", "img01", "img02"], "val": ["img00", "img01"], "test": ["img00", "img01"], "more": ["img00"],
    }  # fmt: skip
    assert not list(records.parent.glob(".records*"))


def test_what_an_interruption_left_of_other_splits_is_not_taken(records, root):
    beside = records.with_name(".records.writing")
    for folder in ("records", "notes"):
        (beside / folder).mkdir(parents=True)
    (beside / "records" / "val.mindrecord7").write_text("rest")
    (beside / "notes" / "val.mindrecord7.json").write_text(json.dumps({"files": {"val.mindrecord7": {}}}))
    add(records, root, "test")
    assert not (records / "val.mindrecord7").exists()
    check_records(records, full=True)


def test_where_links_are_impossible_files_are_copied(records, root, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    add(records, root, "test")
    check_records(records, full=True)


def test_a_split_that_is_there_is_refused(records, root):
    with pytest.raises(UserError, match=r"has the split 'val' already; use --overwrite"):
        add(records, root, "val")


def test_other_classes_are_refused_and_nothing_changes(records, root):
    before = files(records)
    (root / "classes.yaml").write_text(CLASSES.replace("tree", "bush"))
    with pytest.raises(UserError, match="other classes or another label map"):
        add(records, root, "test")
    assert files(records) == before
    assert list(read_metadata(records).splits) == ["train", "val"]


def test_there_must_be_records(root, tmp_path):
    with pytest.raises(UserError, match="no records in"):
        add(tmp_path / "none", root, "test")


def test_sizes_are_known_without_decoding(records, root):
    data = folder_config(
        records, eval_transforms=[{"name": "resize", "size": [48, 48], "keep_ratio": True}, {"name": "normalize"}]
    )
    pipeline = EvalPipeline(records, "val", data)
    assert pipeline.sizes() == [image.shape[2:] for image, *_ in pipeline] == [(36, 48)] * 2
    assert [name for *_, name in pipeline.only([1])] == ["img01"]
    assert [name for *_, name in pipeline.only([1, 0])] == ["img01", "img00"]
