"""Records that several workers need are written and checked by one worker of each machine."""

import numpy as np
import pytest

from src.data import preparation
from src.data.catalog import load_dataset_info
from src.data.preparation import ensure_records
from src.errors import UserError
from tests.data.raw_data import folder_config, write_raw

WAIT = "wait"


@pytest.mark.parametrize(
    ("rank", "local", "shared", "order"),
    [
        (0, 0, True, ["write", WAIT, WAIT]),
        (1, 1, True, [WAIT, WAIT]),  # on the first machine
        (2, 0, True, [WAIT, "check", WAIT]),  # on a second machine with the same folder
        (2, 0, False, [WAIT, "write", WAIT]),  # on a second machine with a folder of its own
        (3, 1, True, [WAIT, WAIT]),
    ],
)
def test_one_worker_of_a_machine_goes_ahead(rank, local, shared, order, tmp_path, monkeypatch):
    config = folder_config(tmp_path / "records", write_raw(tmp_path / "raw", {"train": 2, "val": 1}))
    happened = []
    write, check = preparation.write_records, preparation.check_records

    def note_write(*arguments, **options):
        happened.append("write")
        return write(*arguments, **options)

    def note_check(*arguments):
        happened.append("check")
        check(*arguments)

    def wait():
        """While this worker waits, those before it write."""
        happened.append(WAIT)
        turn = happened.count(WAIT)
        if rank > 0 and turn == (1 if shared else 2) and not (tmp_path / "records").exists():
            write(load_dataset_info("folder", config.root), config.root, config.records)

    monkeypatch.setattr(preparation, "check_records", note_check)
    monkeypatch.setattr(preparation, "write_records", note_write)
    monkeypatch.setattr(preparation, "rank", lambda: rank)
    monkeypatch.setattr(preparation, "local_rank", lambda: local)
    monkeypatch.setattr(preparation, "wait_for_all", wait)
    assert ensure_records(config).split("train").count == 2
    assert happened == order


@pytest.mark.parametrize("place", range(5))
def test_machines_that_wrote_other_records_are_refused(place, tmp_path, monkeypatch):
    """Wherever the checksum of the third worker's differs."""
    config = folder_config(tmp_path / "records", write_raw(tmp_path / "raw", {"train": 2, "val": 1}))
    other = np.zeros(5, np.int64)
    monkeypatch.setattr(preparation, "world_size", lambda: 3)
    monkeypatch.setattr(preparation, "gather_counts", lambda own: np.stack([own, own, own + other]))
    assert ensure_records(config).split("train").count == 2
    other[place] = 1
    with pytest.raises(UserError, match="of worker 2 holds other images or labels than that of worker 0; expected"):
        ensure_records(config)
