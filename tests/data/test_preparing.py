"""Preparing on several threads: the same bytes, a bounded number of samples in memory, and going on after an end."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from src.data import mindrecord, shards
from src.data.catalog import load_dataset_info
from src.data.in_order import in_order
from src.data.info import IGNORE
from src.data.mindrecord import write_records
from src.data.records import check_records, read_metadata
from src.data.statistics import SplitCounter
from src.errors import UserError
from tests.data.conftest import write_pair

ROOT = Path(__file__).parents[2]


def write(raw, output, **options):
    return write_records(load_dataset_info("folder", raw), raw, output, **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def loaded(monkeypatch):
    """The indices of the samples that were loaded, in any order."""
    indices = []
    load = mindrecord._load
    monkeypatch.setattr(mindrecord, "_load", lambda source, index: (indices.append(index), load(source, index))[1])
    return indices


@pytest.fixture
def interrupted(raw, tmp_path, monkeypatch):
    """Records of three shards per split, of which Ctrl-C left the first two of `train` finished, the third half."""
    with monkeypatch.context() as patch:
        write_shard = shards.Shard.write

        def write_until_third(self, rows):
            if self.path.name.endswith("2"):
                rows = list(rows)[:1]
                write_shard(self, rows)
                self.note.unlink()
                raise KeyboardInterrupt
            return write_shard(self, rows)

        patch.setattr(shards.Shard, "write", write_until_third)
        with pytest.raises(KeyboardInterrupt):
            write(raw, tmp_path / "out", shards=3)
    assert not (tmp_path / "out").exists()
    return tmp_path / ".out.writing"


@pytest.mark.parametrize("together", [1, 64])
def test_the_number_of_workers_does_not_change_a_byte(raw, tmp_path, monkeypatch, together):
    monkeypatch.setattr(shards, "TOGETHER", together)
    write(raw, tmp_path / "one", shards=2, workers=1)
    monkeypatch.undo()
    write(raw, tmp_path / "five", shards=2, workers=5)
    assert contents(tmp_path / "one") == contents(tmp_path / "five")


def test_results_come_in_order_and_few_are_in_memory():
    """Item 0 waits until another one is done; what is at work, waiting or with the caller is counted."""
    alive, most, lock, go = set(), [0], threading.Lock(), threading.Event()

    def items():
        for item in range(50):
            with lock:
                alive.add(item)
                most[0] = max(most[0], len(alive))
            yield item

    def work(item):
        if item == 0:
            assert go.wait(60)
        go.set()
        return item

    found = []
    for item in in_order(work, items(), workers=3):
        found.append(item)
        with lock:
            alive.discard(item)
    assert found == list(range(50))
    assert most[0] == 6


def test_an_exception_comes_in_its_place_and_ends_the_work():
    done = []

    def work(item):
        done.append(item)
        return 1 / (3 - item)

    results = in_order(work, range(1000), workers=2)
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(done) < 12


def test_an_interrupted_run_is_continued(raw, tmp_path, interrupted, loaded, capsys):
    write(raw, tmp_path / "out", shards=3)
    assert sorted(loaded) == sorted([6, 7, 8, 0, 1, 2])  # the third shard of train, and val
    assert "continuing an interrupted run: 6 of 9 images of train are written" in capsys.readouterr().out
    assert not interrupted.exists()
    check_records(tmp_path / "out", full=True)
    write(raw, tmp_path / "whole", shards=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def change_image(raw, interrupted):
    write_pair(raw, "train", "t4", seed=1)  # in the second shard


def change_time(raw, interrupted):
    os.utime(raw / "annotations/train/t4.png", ns=(1, 1))


def damage_shard(raw, interrupted):
    path = interrupted / "records" / "train.mindrecord1"
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def lose_index(raw, interrupted):
    (interrupted / "records" / "train.mindrecord1.db").unlink()


def damage_note(raw, interrupted):
    (interrupted / "notes" / "train.mindrecord1.json").write_text("{")


@pytest.mark.parametrize("change", [change_image, change_time, damage_shard, lose_index, damage_note])
def test_a_finished_shard_is_written_again_if_anything_differs(raw, tmp_path, interrupted, loaded, change):
    change(raw, interrupted)
    write(raw, tmp_path / "out", shards=3)
    assert sorted(loaded) == sorted([3, 4, 5, 6, 7, 8, 0, 1, 2])
    write(raw, tmp_path / "whole", shards=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_nothing_is_taken_over_with_other_options(raw, tmp_path, interrupted, loaded):
    (raw / "classes.yaml").write_text("classes: [a, b, {name: c, raw: [2, 3]}]\n")
    write(raw, tmp_path / "out", shards=3)
    assert len(loaded) == 12


def test_counts_come_back_from_a_note_and_add_up():
    """Two parts, one of them written down and read again, give the facts of the whole."""
    labels = [np.array([[0, 1, 1]]), np.array([[IGNORE, IGNORE]]), np.array([[1], [IGNORE]])]
    raw, notes = [{}, {7: 2}, {9: 1}], [(), ("turned",), ("turned", "made gray")]
    whole, *parts = (SplitCounter(3) for _ in range(3))
    for index, label in enumerate(labels):
        for counter in (whole, parts[index % 2]):
            counter.count(np.bincount(label.ravel(), minlength=256), label.shape, raw[index], notes[index])
    total = SplitCounter(3)
    for part in parts:
        total.add(SplitCounter.from_json(3, json.loads(json.dumps(part.to_json()))))
    assert total.facts() == whole.facts()
    assert total.facts().unlabeled == 1 and total.facts().class_images == [1, 2, 0]
    assert total.facts().sizes == {"smallest": [1, 2], "median": [2, 1], "largest": [1, 3]}
    assert total.facts().ignored_values == {"7": 0.28571429, "9": 0.14285714}
    assert total.facts().notes == {"made gray": 1, "turned": 2}


def test_another_number_of_shards_leaves_no_stray_files(raw, tmp_path, interrupted):
    write(raw, tmp_path / "out", shards=2)
    names = {f"{split}.mindrecord{shard}{end}" for split in ("train", "val") for shard in (0, 1) for end in ("", ".db")}
    assert set(contents(tmp_path / "out")) == {*names, "metadata.json", "manifest.json"}
    check_records(tmp_path / "out", full=True)


def test_bad_samples_of_a_continued_run_are_reported_together(raw, tmp_path, interrupted):
    for name in ("t6", "t8"):
        (raw / f"annotations/train/{name}.png").write_bytes(b"")
    with pytest.raises(UserError) as caught:
        write(raw, tmp_path / "out", shards=3)
    assert all(piece in str(caught.value) for piece in ("2 of 9 samples", "t6.png", "t8.png"))
    assert not interrupted.exists()


def test_a_killed_process_is_continued(raw, tmp_path, loaded):
    """SIGKILL, while the third shard is written."""
    program = (
        "import os, signal; from src.data import mindrecord\n"
        "from src.data.catalog import load_dataset_info\n"
        "load = mindrecord._load\n"
        "def until_seven(source, index):\n"
        "    row = load(source, index)\n"
        "    return row if index < 7 else os.kill(os.getpid(), signal.SIGKILL)\n"
        "mindrecord._load = until_seven\n"
        f"raw, output = {str(raw)!r}, {str(tmp_path / 'out')!r}\n"
        "mindrecord.write_records(load_dataset_info('folder', raw), raw, output, shards=3, workers=1)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGKILL
    write(raw, tmp_path / "out", shards=3)
    assert not {0, 1, 2} & set(loaded[:3]) and len(loaded) < 12
    write(raw, tmp_path / "whole", shards=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_two_processes_do_not_write_the_same_records(raw, tmp_path):
    with mindrecord._working_folder(tmp_path / ".out.writing"), pytest.raises(UserError, match="another process"):
        write(raw, tmp_path / "out")


def test_a_full_disk_keeps_the_finished_shards(raw, tmp_path, monkeypatch, loaded):
    write_shard = shards.Shard.write

    def fail(self, rows):
        if self.path.name.endswith("1"):
            raise OSError(28, "No space left on device")
        return write_shard(self, rows)

    monkeypatch.setattr(shards.Shard, "write", fail)
    with pytest.raises(UserError, match="cannot be written .No space left on device"):
        write(raw, tmp_path / "out", shards=3)
    monkeypatch.setattr(shards.Shard, "write", write_shard)
    loaded.clear()
    write(raw, tmp_path / "out", shards=3)
    assert len(loaded) == 9


def test_an_end_before_the_first_shard_leaves_nothing(raw, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shards.Shard, "write", interrupt)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        write(raw, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_large_splits_get_a_shard_per_gib(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(mindrecord, "SHARD_BYTES", 40_000)  # about four samples, whose bound is 8 KiB each and more
    write(raw, tmp_path / "out")
    assert len(list((tmp_path / "out").glob("train.mindrecord?"))) > 1
    assert read_metadata(tmp_path / "out").split("train").count == 9
