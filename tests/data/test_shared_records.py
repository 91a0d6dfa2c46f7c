"""Records that several workers need are written by the first one, or by the first one of each machine."""

import pytest

from src.data import mindrecord
from src.data.mindrecord import ensure_records
from tests.data.raw_data import folder_config, write_raw


@pytest.mark.parametrize(
    ("rank", "local_rank", "shared", "order"),
    [
        (0, 0, True, ["write", "wait", "wait"]),
        (1, 1, True, ["wait", "wait", "find"]),
        (2, 0, True, ["wait", "find", "wait"]),
        (2, 0, False, ["wait", "write", "wait"]),  # the first of a machine with a disk of its own
    ],
)
def test_the_first_worker_goes_ahead(rank, local_rank, shared, order, tmp_path, monkeypatch):
    config = folder_config(tmp_path / "records", write_raw(tmp_path / "raw", {"train": 2, "val": 1}))
    happened = []
    write = mindrecord.write_records

    def note_write(*arguments):
        happened.append("write")
        return write(*arguments)

    def wait():
        happened.append("wait")
        if rank and shared and happened == ["wait"]:  # meanwhile the first worker has written them
            write(mindrecord.load_dataset_info("folder", config.root), config.root, config.records)

    find = mindrecord.check_records
    monkeypatch.setattr(mindrecord, "check_records", lambda records: (happened.append("find"), find(records)))
    monkeypatch.setattr(mindrecord, "write_records", note_write)
    monkeypatch.setattr(mindrecord, "rank", lambda: rank)
    monkeypatch.setattr(mindrecord, "local_rank", lambda: local_rank)
    monkeypatch.setattr(mindrecord, "wait_for_all", wait)
    assert ensure_records(config).split("train").count == 2
    assert happened == order
