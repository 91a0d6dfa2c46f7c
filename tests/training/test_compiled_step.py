"""Compiled steps that other processes take over: the same results, and never for another training."""

import fcntl
import json
import os
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn

from src.checkpoint import load_checkpoint
from src.config import load_config
from src.files import cache_folder
from src.losses import build_criterion
from src.models import build_model
from src.training import compiled_step
from src.training.step_builder import build_step
from tests.commands import start

TAKEN = "taking the compiled training step of an earlier run"
DECODERS = {
    "ecenet": {"name": "ecenet", "channels": 8},
    "cpt": {"name": "cpt", "channels": 8},
    "csnet": {"name": "csnet", "channels": 8, "cs_channels": 8, "auxiliary_channels": 8},
}


def train(config, folder, *settings):
    arguments = ("--config", config, "--output", folder, "--set", "train.iterations=3", "train.eval_every=0", *settings)
    process = start("train.py", *arguments)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output, load_checkpoint(folder / "checkpoints" / "last.ckpt").tensors


def compare(config, folder, monkeypatch, *settings):
    """A run that takes over the step of another seed's run equals one that compiles."""
    kernels = cache_folder("kernels")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    cache_folder("kernels").parent.mkdir(parents=True)
    cache_folder("kernels").symlink_to(kernels)  # they need not be compiled again
    cache = ("device.compile_cache=true", *settings)
    _, expected = train(config, folder / "compiled", "train.seed=1", *settings)
    output, _ = train(config, folder / "first", "train.seed=0", *cache)
    assert TAKEN not in output
    output, found = train(config, folder / "taken", "train.seed=1", *cache)
    assert TAKEN in output
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_step_that_is_taken_over_trains_bit_for_bit_the_same(small_config, tmp_path, monkeypatch):
    compare(small_config, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_method(small_config, tmp_path, monkeypatch, decoder):
    settings = (f"model.decoder={json.dumps(DECODERS[decoder])}", "train.accumulate=2", "train.ema={decay: 0.9}")
    compare(small_config, tmp_path, monkeypatch, *settings)


class Toy(nn.Cell):
    def __init__(self, constant=1.0):
        super().__init__()
        self.constant = Tensor([constant])


@pytest.fixture
def cached(small_config, tmp_path, monkeypatch):
    """A config that asks for the cache, an empty cache, and a process that has not used it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled_step, "_used", False)
    return load_config(small_config, ["device.compile_cache=true"])


def enter(config, step, write=True, error=None):
    """Use the entry of ``step`` as a training would; return whether it was complete, or None if it was not used."""
    with compiled_step.reused(config, step) as found:
        folder = os.environ.get("MS_COMPILER_CACHE_PATH")
        if write and folder:
            Path(folder, "graph.mindir").write_text("compiled")
        if error:
            raise error
    assert "MS_COMPILER_CACHE_PATH" not in os.environ
    compiled_step._used = False
    return found if folder else None


def test_an_entry_is_used_once_it_is_complete(cached):
    assert enter(cached, Toy(), write=False) is False  # nothing was written
    assert enter(cached, Toy()) is False
    assert enter(cached, Toy()) is True
    assert enter(cached, Toy(2.0)) is False


def test_an_entry_that_failed_is_made_anew(cached):
    enter(cached, Toy())
    with pytest.raises(RuntimeError):
        enter(cached, Toy(), error=RuntimeError("the graph cannot be loaded"))
    compiled_step._used = False
    assert enter(cached, Toy(), write=False) is False
    assert not list(cache_folder("graphs").rglob("*.mindir"))


def test_an_entry_in_use_or_a_second_step_or_no_folder_goes_without(cached, small_config, tmp_path):
    enter(cached, Toy())
    lock = cache_folder("graphs") / f"{compiled_step.key(cached, Toy())}.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert enter(cached, Toy()) is None
    compiled_step._used = True
    assert enter(cached, Toy()) is None
    cache_folder("graphs").rename(tmp_path / "away")
    cache_folder("graphs").write_text("a file")
    assert enter(cached, Toy()) is None
    assert enter(load_config(small_config), Toy()) is None


def test_old_entries_go(cached, monkeypatch):
    monkeypatch.setattr(compiled_step, "KEPT", 2)
    for number in range(4):
        enter(cached, Toy(float(number)))
        name = compiled_step.key(cached, Toy(float(number)))
        os.utime(cache_folder("graphs") / name / compiled_step.COMPLETE, (number, number))
    assert len(list(cache_folder("graphs").glob("*.lock"))) == 2
    assert enter(cached, Toy(3.0)) is True
    assert enter(cached, Toy(0.0)) is False


def test_the_key_follows_all_that_the_graph_holds(small_config):
    def key(*settings, classes=7):
        config = load_config(small_config, list(settings))
        network = build_model(config.model, classes)
        return compiled_step.key(config, build_step(config, network, build_criterion(config, classes, 255)))

    keys = [
        key(),
        key("optimizer.lr=0.1"),
        key("train.batch_size=2"),
        key("losses.ce.weight=0.5"),
        key(classes=6),
        key("train.clip_norm=1"),
    ]
    assert len(set(keys)) == len(keys)
    assert key("train.seed=5") == keys[0]
    config = load_config(small_config)
    assert compiled_step.key(config, Toy(1.0)) == compiled_step.key(config, Toy(1.0))
    assert compiled_step.key(config, Toy(1.0)) != compiled_step.key(config, Toy(2.0))
