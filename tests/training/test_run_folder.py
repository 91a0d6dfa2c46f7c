"""What a run writes beside its checkpoints."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c

from src.config import load_config
from src.errors import UserError
from src.training.run_folder import RunFolder
from tests.commands import ROOT

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


@pytest.fixture
def folder(small_config, tmp_path):
    found = RunFolder(tmp_path / "run")
    found.open(load_config(small_config), 4)
    yield found
    found.close()


def records(path):
    """Events of a file in TensorBoard's format: length, its sum, data, their sum."""
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body = data[12 : 12 + length]
        assert struct.unpack("<I", data[8:12])[0] == masked_crc32c(data[:8])
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked_crc32c(body)
        events.append(Event.FromString(body))
        data = data[16 + length :]
    return events


def test_tensorboard_gets_the_numbers_and_forgets_what_is_repeated(folder):
    folder.log({"step": 5, "epoch": 0.5, "loss": 0.25, "lr": float("nan")})
    folder.log({"step": 6, "split": "val", "mIoU": 40.0})
    (path,) = (folder.path / "tensorboard").iterdir()
    first, start, *numbers = records(path)
    assert first.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (5, SessionLog.START)
    found = [(event.step, {value.tag: value.simple_value for value in event.summary.value}) for event in numbers]
    assert found == [(5, {"train/loss": 0.25}), (6, {"val/mIoU": 40.0})]


@needs_full
@pytest.mark.parametrize("file", ["_metrics", "events"])
def test_full_disk_is_an_error_at_once(folder, file):
    full = Path("/dev/full")
    if file == "events":
        folder._tensorboard.file = full.open("ab")
    else:
        folder._metrics = full.open("a")
    with pytest.raises(UserError, match=r"run: cannot be written \(No space left on device\)"):
        folder.log({"step": 5, "loss": 0.25})


@needs_full
def test_message_that_finds_no_room_leaves_the_status():
    program = "from src.errors import UserError, run_command\ndef main(): raise UserError('no room')\nrun_command(main)"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-u", "-c", program], cwd=ROOT, stderr=full, check=False)
    assert done.returncode == 2
