"""Checkpoints: exact round trip, whole or not at all, and plain words for every damaged or foreign file."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from src import checkpoint as module
from src.checkpoint import load_checkpoint, load_network, load_state, save_checkpoint
from src.errors import UserError


class Network(nn.Cell):
    def __init__(self, width=4):
        super().__init__()
        self.backbone = nn.SequentialCell(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width))
        self.decoder = nn.Conv2d(width, 2, 1)


def state():
    return [Parameter(Tensor(np.arange(3, dtype=np.int32)), name="iteration")]


@pytest.fixture
def saved(tmp_path):
    network = Network()
    path = tmp_path / "checkpoints" / "last.ckpt"
    save_checkpoint(path, network, {"step": 7, "classes": ["a", "b"]}, state())
    return network, path


def arrays(network):
    return {p.name: p.asnumpy() for p in network.get_parameters()}


def test_round_trip_is_exact(saved):
    network, path = saved
    loaded = load_checkpoint(path)
    assert loaded.meta["step"] == 7
    assert loaded.meta["classes"] == ["a", "b"]
    fresh, fresh_state = Network(), [Parameter(Tensor(np.zeros(3, np.int32)), name="iteration")]
    load_network(fresh, loaded)
    load_state(fresh_state, loaded)
    for name, value in arrays(network).items():
        np.testing.assert_array_equal(arrays(fresh)[name], value)
    np.testing.assert_array_equal(fresh_state[0].asnumpy(), [0, 1, 2])


def test_mindspore_itself_can_load_the_network(saved):
    network, path = saved
    fresh = Network()
    missing, _ = ms.load_param_into_net(fresh, ms.load_checkpoint(str(path)))
    assert missing == []
    np.testing.assert_array_equal(fresh.decoder.weight.asnumpy(), network.decoder.weight.asnumpy())


def test_nothing_is_left_beside_the_file(saved):
    _, path = saved
    assert [p.name for p in path.parent.iterdir()] == ["last.ckpt"]


def test_failed_write_keeps_the_old_file(saved, monkeypatch):
    network, path = saved
    before = path.read_bytes()

    def disk_full(_entries, name, **_):
        Path(name).with_suffix(".tmp").write_bytes(b"half")  # as MindSpore does
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.ms, "save_checkpoint", disk_full)
    with pytest.raises(UserError, match="No space left.*is intact"):
        save_checkpoint(path, network, {"step": 8})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["last.ckpt"]


def test_missing_file():
    with pytest.raises(UserError, match="checkpoint not found: nowhere.ckpt"):
        load_checkpoint("nowhere.ckpt")


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_truncated_file(saved, keep):
    _, path = saved
    whole = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(whole[:keep])
    with pytest.raises(UserError, match=str(path)):
        load_checkpoint(path)


def test_flipped_byte_in_a_tensor(saved):
    network, path = saved
    whole = bytearray(path.read_bytes())
    position = bytes(whole).index(network.decoder.weight.asnumpy().tobytes())
    whole[position + 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(whole)
    with pytest.raises(UserError, match="do not match their checksum"):
        load_checkpoint(path)


def test_another_model_is_refused_and_nothing_is_loaded(saved):
    _, path = saved
    other = Network(width=6)
    before = arrays(other)
    with pytest.raises(UserError, match=r"shape: backbone.0.weight is \(4, 3, 3, 3\), expected \(6, 3, 3, 3\)"):
        load_network(other, load_checkpoint(path))
    for name, value in arrays(other).items():
        np.testing.assert_array_equal(value, before[name])


def test_the_file_before_is_kept_where_asked(saved):
    network, path = saved
    before = path.with_name("previous.ckpt")
    for step in (8, 9):
        save_checkpoint(path, network, {"step": step}, state(), before)
    assert (load_checkpoint(path).meta["step"], load_checkpoint(before).meta["step"]) == (9, 8)
    assert sorted(file.name for file in path.parent.iterdir()) == ["last.ckpt", "previous.ckpt"]
