"""train.py as a user meets it: the run's folder, resuming bit for bit, kills, Ctrl-C, divergence."""

import json
import os
import shutil
import signal
from itertools import islice

import numpy as np
import pytest

from src.checkpoint import load_checkpoint
from src.config import load_config
from src.data.pipeline import TrainPipeline
from src.errors import UserError
from src.report.curves import loss_parts
from tests.commands import read_until, run_inside, start, start_in_terminal


def metrics(folder):
    """Lines of metrics.jsonl without the speed, which differs from run to run."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


def assert_same_weights(first, second):
    first, second = (load_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (first, second))
    assert first.tensors.keys() == second.tensors.keys()
    for name, value in first.tensors.items():
        np.testing.assert_array_equal(second.tensors[name], value, err_msg=name)


@pytest.fixture(scope="module")
def straight(small_config, tmp_path_factory):
    """The folder of an unbroken run of six steps, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "straight"
    process = start("train.py", "--config", small_config, "--output", folder)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return folder, output


def test_folder_holds_all_that_is_promised(straight, small_config):
    folder, output = straight
    assert load_config(folder / "config.yaml") == load_config(small_config)
    for name in ("checkpoints/last.ckpt", "checkpoints/best.ckpt", "curves.png"):
        assert (folder / name).stat().st_size > 0
    assert list((folder / "tensorboard").iterdir())
    evaluation = json.loads((folder / "report.json").read_text())
    assert len(evaluation["images"]) == 6 and evaluation["scores"]["protocol"]["weights"] in ("step 3", "step 6")
    assert "val_00005" in (folder / "report.html").read_text()
    (session,) = json.loads((folder / "run.json").read_text())
    assert (session["from_step"], session["to_step"], session["workers"]) == (0, 6, 1) and session["ended"]
    lines = metrics(folder)
    steps = [line for line in lines if "split" not in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    assert {"step", "epoch", "loss", "ce", "lr", "loss_scale"} <= steps[0].keys()
    assert loss_parts(steps[0]) == ["ce"]
    scores = [line for line in lines if "split" in line]
    assert [(line["step"], line["split"]) for line in scores] == [(3, "val"), (6, "val")]
    assert {"mIoU", "aAcc", "mAcc"} <= scores[0].keys()
    assert "step 6/6" in output
    best = load_checkpoint(folder / "checkpoints" / "best.ckpt").meta
    assert best["mIoU"] == max(line["mIoU"] for line in scores)


def test_killed_run_continues_with_the_same_losses(straight, small_config, tmp_path):
    folder = tmp_path / "killed"
    process = start("train.py", "--config", small_config, "--output", folder)
    read_until(process, "step 5/6")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt").meta["step"] == 4
    process = start("train.py", "--config", small_config, "--output", folder)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "at step 4" in output
    sessions = json.loads((folder / "run.json").read_text())
    assert [(one["from_step"], bool(one["ended"])) for one in sessions] == [(0, False), (4, True)]
    assert metrics(folder) == metrics(straight[0])
    assert_same_weights(straight[0], folder)


def test_finished_run_is_left_as_it_is(straight, small_config, monkeypatch, capfd):
    before = metrics(straight[0])
    assert run_inside(monkeypatch, "train.py", "--config", small_config, "--output", straight[0]) == 0
    assert "already" in capfd.readouterr().out
    assert metrics(straight[0]) == before


def test_ctrl_c_saves_what_was_trained(straight, small_config, tmp_path):
    folder = tmp_path / "interrupted"
    process, keyboard = start_in_terminal("train.py", "--config", small_config, "--output", folder)
    read_until(process, "step 2/6")
    os.write(keyboard, b"\x03")
    output, _ = process.communicate()
    os.close(keyboard)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    step = load_checkpoint(folder / "checkpoints" / "last.ckpt").meta["step"]
    assert f"interrupted at step {step}" in output
    steps = [line for line in metrics(straight[0]) if line["step"] <= step]
    assert [line for line in metrics(folder) if "split" not in line] == [one for one in steps if "split" not in one]


def test_sigterm_saves_and_ends_well(small_config, tmp_path):
    """As a cluster does before it takes a machine away."""
    folder = tmp_path / "run"
    process = start("train.py", "--config", small_config, "--output", folder, "--set", "device.mode=pynative")
    read_until(process, "step 1/6")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    step = load_checkpoint(folder / "checkpoints" / "last.ckpt").meta["step"]
    assert step < 6
    assert f"interrupted at step {step} by SIGTERM" in output


def test_sigterm_before_the_first_line_of_metrics(small_config, tmp_path, monkeypatch, capfd):
    from src.training.trainer import Trainer

    def update_then_signal(self, *arguments):
        result = update(self, *arguments)
        signal.raise_signal(signal.SIGTERM)
        return result

    update = Trainer._update
    monkeypatch.setattr(Trainer, "_update", update_then_signal)
    folder = tmp_path / "run"
    options = ("--set", "device.mode=pynative", "train.log_every=6", "train.eval_every=0")
    assert run_inside(monkeypatch, "train.py", "--config", small_config, "--output", folder, *options) == 0
    assert "interrupted at step 2 by SIGTERM" in capfd.readouterr().out
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt").meta["step"] == 2


def test_damaged_last_checkpoint_is_replaced_by_the_one_before(straight, small_config, tmp_path, monkeypatch, capfd):
    folder = tmp_path / "run"
    shutil.copytree(straight[0], folder)
    last, previous = folder / "checkpoints" / "last.ckpt", folder / "checkpoints" / "previous.ckpt"
    assert load_checkpoint(previous).meta["step"] == 4
    before = previous.read_bytes()
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    arguments = ["--config", small_config, "--output", folder, "--set", "device.mode=pynative"]
    assert run_inside(monkeypatch, "train.py", *arguments) == 0
    output = capfd.readouterr().out
    assert "do not match their checksum" in output
    assert "continuing from the one before it" in output
    assert f"resuming {previous} at step 4" in output
    assert load_checkpoint(last).meta["step"] == 6
    assert previous.read_bytes() == before  # the damaged file did not take its place
    assert [line["step"] for line in metrics(folder) if "split" not in line] == [1, 2, 3, 4, 5, 6]


def test_accumulation_average_and_half_precision_resume(small_config, tmp_path, monkeypatch):
    """Averages, loss scale and dropout go on where they were; the best checkpoint holds the averages."""

    def arguments(name, iterations):
        options = ["train.ema.decay=0.5", "train.amp=O2", "train.loss_scale.initial=1024", "train.eval_every=1"]
        options += ["train.loss_scale.window=1", "train.accumulate=2"]
        options += [f"train.iterations={iterations}", "device.mode=pynative", "schedule.name=constant"]
        return ["--config", small_config, "--output", tmp_path / name, "--set", *options]

    assert run_inside(monkeypatch, "train.py", *arguments("straight", 2)) == 0
    assert run_inside(monkeypatch, "train.py", *arguments("broken", 1)) == 0
    last = load_checkpoint(tmp_path / "broken" / "checkpoints" / "last.ckpt").tensors
    best = load_checkpoint(tmp_path / "broken" / "checkpoints" / "best.ckpt")
    assert best.meta["step"] == 1
    bias = "decoder.classifier.bias"
    np.testing.assert_array_equal(best.tensors[bias], last[f"train.average.{bias}"])
    assert (best.tensors[bias] != last[bias]).any()
    assert run_inside(monkeypatch, "train.py", *arguments("broken", 2)) == 0
    assert metrics(tmp_path / "broken") == metrics(tmp_path / "straight")
    assert_same_weights(tmp_path / "straight", tmp_path / "broken")
    scales = [line["loss_scale"] for line in metrics(tmp_path / "straight") if "split" not in line]
    assert scales == [1024, 2048]


def test_data_damaged_within_an_accumulated_update_moves_nothing(small_config, tmp_path, monkeypatch):
    """Batch norms see the batches of an update once, although its second part could not be read at first."""
    options = ["train.iterations=2", "train.accumulate=2", "train.eval_every=0", "device.mode=pynative"]

    def train(name):
        arguments = ["--config", small_config, "--output", tmp_path / name, "--set", *options]
        return run_inside(monkeypatch, "train.py", *arguments)

    def damaged(self, start_step=0):
        yield from islice(batches(self, start_step), 3)
        raise UserError("train_00007.png: cannot be decoded")

    batches = TrainPipeline.batches
    assert train("straight") == 0
    with monkeypatch.context() as patch:
        patch.setattr(TrainPipeline, "batches", damaged)
        assert train("broken") == 2
    assert load_checkpoint(tmp_path / "broken" / "checkpoints" / "last.ckpt").meta["step"] == 1
    assert train("broken") == 0
    assert_same_weights(tmp_path / "straight", tmp_path / "broken")


def test_other_settings_are_not_resumed(straight, small_config, monkeypatch, capfd):
    arguments = ["--config", small_config, "--output", straight[0], "--set", "optimizer.lr=0.5"]
    assert run_inside(monkeypatch, "train.py", *arguments) == 2
    assert "optimizer.lr: 0.001 -> 0.5" in capfd.readouterr().err


def test_resume_never_does_not_overwrite(straight, small_config, monkeypatch, capfd):
    arguments = ["--config", small_config, "--output", straight[0], "--resume", "never"]
    assert run_inside(monkeypatch, "train.py", *arguments) == 2
    assert "already holds a run" in capfd.readouterr().err


def test_weights_alone_cannot_be_resumed(straight, small_config, tmp_path, monkeypatch, capfd):
    best = straight[0] / "checkpoints" / "best.ckpt"
    arguments = ["--config", small_config, "--output", tmp_path / "new", "--resume", best]
    assert run_inside(monkeypatch, "train.py", *arguments) == 2
    assert "holds weights only" in capfd.readouterr().err


def test_divergence_stops_and_names_step_and_parts(small_config, tmp_path, monkeypatch, capfd):
    options = ["optimizer.lr=1e30", "train.max_bad_steps=1", "train.eval_every=0", "train.checkpoint_every=1"]
    arguments = ["--config", small_config, "--output", tmp_path / "run", "--set", *options, "device.mode=pynative"]
    assert run_inside(monkeypatch, "train.py", *arguments) == 2
    output = capfd.readouterr()
    assert "not finite" in output.out and "skipped" in output.out
    for piece in ("not finite", "ce =", "train.max_bad_steps is 1", "2 in a row"):
        assert piece in output.err
    last = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert all(np.isfinite(value).all() for value in last.tensors.values())


def test_print_config_starts_nothing(small_config, tmp_path, monkeypatch, capfd):
    arguments = ["--config", small_config, "--output", tmp_path / "run", "--print-config", "--set", "train.seed=9"]
    assert run_inside(monkeypatch, "train.py", *arguments) == 0
    assert "seed: 9" in capfd.readouterr().out
    assert not (tmp_path / "run").exists()
