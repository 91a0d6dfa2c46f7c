"""Records that several workers need are written by the first one alone."""

import pytest

from src.data import preparation
from src.data.catalog import load_dataset_info
from src.data.preparation import ensure_records
from tests.data.raw_data import folder_config, write_raw


@pytest.mark.parametrize(("rank", "order"), [(0, ["write", "wait"]), (1, ["wait", "find"])])
def test_the_first_worker_goes_ahead(rank, order, tmp_path, monkeypatch):
    config = folder_config(tmp_path / "records", write_raw(tmp_path / "raw", {"train": 2, "val": 1}))
    happened = []
    write = preparation.write_records

    def note_write(*arguments):
        happened.append("write")
        return write(*arguments)

    def wait():
        happened.append("wait")
        if rank == 1:  # meanwhile the first worker has written them
            write(load_dataset_info("folder", config.root), config.root, config.records)

    find = preparation.check_records
    monkeypatch.setattr(preparation, "check_records", lambda records: (happened.append("find"), find(records)))
    monkeypatch.setattr(preparation, "write_records", note_write)
    monkeypatch.setattr(preparation, "rank", lambda: rank)
    monkeypatch.setattr(preparation, "wait_for_all", wait)
    assert ensure_records(config).split("train").count == 2
    assert happened == order
