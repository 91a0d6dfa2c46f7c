"""Sweeps through the command: the plan, what is run and what is not, the table, interruptions, and mistakes."""

import json
import os
import select
import signal

import pytest
import yaml

from src.sweep import plan
from tests.commands import ROOT, read_until, run_inside, start

PRETENDED = ROOT / "tests" / "sweep" / "pretend_train.py"
CONFIG = {
    "data": {"name": "shapes", "records": "unused", "crop": [64, 64]},
    "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": "fpn"}},
    "optimizer": {"name": "adamw", "lr": 0.01},
    "train": {"iterations": 10, "batch_size": 4, "eval_every": 1},
}
SWEEP = {
    "config": "base.yaml",
    "seeds": [0, 3],
    "set": {"train.iterations": 4, "model.decoder.channels": 16},
    "variants": {"plain": None, "fast": {"optimizer.lr": 0.1}},
}
# The command with the pretended training, in a process of its own.
COMMAND = f"""
from pathlib import Path
import src.sweep.plan
src.sweep.plan.TRAIN = Path({str(PRETENDED)!r})
from src.errors import run_command
from src.tools.sweep import main
run_command(main)
"""


@pytest.fixture
def write(tmp_path):
    """Write the sweep with some keys changed; return its file."""
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(CONFIG))

    def write(**changes):
        file = tmp_path / "sweep.yaml"
        file.write_text(yaml.safe_dump({**SWEEP, **changes}, sort_keys=False))
        return file

    return write


@pytest.fixture
def sweep(monkeypatch, capfd, tmp_path):
    """Run the command with the pretended training; return its status and what it printed."""
    monkeypatch.setattr(plan, "TRAIN", PRETENDED)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(file, *options):
        status = run_inside(monkeypatch, "src.tools.sweep", file, "--output", tmp_path / "out", *options)
        printed = capfd.readouterr()
        return status, printed.out + printed.err

    return run


def table(tmp_path):
    return json.loads((tmp_path / "out" / "table.json").read_text())


def test_every_variant_with_every_seed_and_the_table(write, sweep, tmp_path):
    status, printed = sweep(write())
    assert status == 0, printed
    assert printed.count("trained from step 0") == 4
    found = table(tmp_path)
    assert found["settings"]["seeds"] == [0, 3]
    assert found["date"].startswith("20")
    fast = found["variants"]["fast"]
    assert fast["last"] == {"mean": 36.5, "min": 35.0, "max": 38.0}
    assert fast["best"] == {"mean": 36.5, "min": 35.0, "max": 38.0}
    plain = found["variants"]["plain"]["runs"]
    assert [(run["seed"], run["last"], run["best"]) for run in plain] == [(0, -1, 3), (3, 2, 6)]
    for run in plain:
        assert run["status"] == "finished"
        assert run["commits"] == [found["commit"]] or found["commit"] is None
        folder = tmp_path / "out" / "plain" / f"seed_{run['seed']}"
        assert run["folder"] == str(folder)
        assert run["command"].endswith(
            f"--config {tmp_path / 'base.yaml'} --output {folder} --set train.iterations=4 model.decoder.channels=16 "
            f"train.seed={run['seed']}"
        )
    text = (tmp_path / "out" / "table.md").read_text()
    assert f"| fast | `{tmp_path / 'base.yaml'}` | 2 of 2 | 36.50 (35.00 to 38.00) |" in text
    assert plain[1]["command"] in text
    assert not list((tmp_path / "out").glob(".*writing*"))


def test_seeds_are_the_outer_loop_and_list_runs_nothing(write, sweep, tmp_path):
    status, printed = sweep(write(), "--list")
    commands = printed.splitlines()
    assert (status, len(commands)) == (0, 4)
    assert [line.rpartition("=")[2] for line in commands] == ["0", "0", "3", "3"]
    assert ["optimizer.lr=0.1" in line for line in commands] == [False, True, False, True]
    assert not (tmp_path / "out").exists()


def test_only_some_runs(write, sweep, tmp_path):
    status, printed = sweep(write(), "--only", "fast", "*/seed_3", "--list")
    found = [line.partition("--output ")[2].split()[0] for line in printed.splitlines()]
    assert status == 0
    assert found == [f"{tmp_path / 'out'}/{name}" for name in ("fast/seed_0", "plain/seed_3", "fast/seed_3")]
    status, printed = sweep(write(), "--only", "plain/seed_0")
    assert status == 0 and printed.count("trained from step 0") == 1
    runs = table(tmp_path)["variants"]
    assert [run["status"] for name in ("plain", "fast") for run in runs[name]["runs"]] == ["finished"] + 3 * [
        "not started"
    ]
    status, printed = sweep(write(), "--only", "slow*")
    assert status == 2
    assert "--only slow*: matches no run of" in printed and "plain/seed_0, fast/seed_0, plain/seed_3" in printed


def test_finished_runs_are_left_alone_and_new_ones_added(write, sweep, tmp_path):
    assert sweep(write())[0] == 0
    before = (tmp_path / "out" / "plain" / "seed_0" / "sweep.json").read_text()
    status, printed = sweep(write(seeds=[0, 3, 5]))
    assert status == 0
    assert printed.count("trained from step 0") == 2
    assert (tmp_path / "out" / "plain" / "seed_0" / "sweep.json").read_text() == before
    assert table(tmp_path)["variants"]["plain"]["last"] == {"mean": pytest.approx(5 / 3), "min": -1, "max": 4}


def test_failed_run_does_not_stop_the_others_and_is_tried_again(write, sweep, tmp_path):
    variants = {"bad": {"optimizer.lr": 2.0}, "good": None}
    for _ in range(2):
        status, printed = sweep(write(variants=variants, seeds=[0]))
        assert status == 1
        assert "[1/2] bad, seed 0: failed at step 0, last mIoU -, best -: status 2: error: step 1: loss is" in printed
        assert f"failed: bad, seed 0; see {tmp_path / 'out' / 'bad' / 'seed_0' / 'output.log'}" in printed
        found = table(tmp_path)["variants"]
        assert found["bad"]["last"] is None
        assert found["bad"]["runs"][0]["message"] == "status 2: error: step 1: loss is not finite"
        assert found["good"]["runs"][0]["status"] == "finished"


def test_training_that_is_stopped_alone_is_interrupted(write, sweep, tmp_path):
    file = write(variants={"one": None, "other": None}, seeds=[0])
    (tmp_path / "wait").touch()
    process = start("-c", COMMAND, file, "--output", tmp_path / "out")
    training = int(read_until(process, "waiting").split()[-1])
    (tmp_path / "wait").unlink()
    os.kill(training, signal.SIGTERM)
    printed, _ = process.communicate()
    assert process.returncode == 1, printed
    assert "interrupted: one, seed 0" in printed
    states = [run["status"] for variant in table(tmp_path)["variants"].values() for run in variant["runs"]]
    assert states == ["interrupted", "finished"]


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_signal_stops_cleanly_and_the_same_command_continues(write, sweep, tmp_path, number, expected):
    file = write(seeds=[0])
    (tmp_path / "wait").touch()
    process = start("-c", COMMAND, file, "--output", tmp_path / "out")
    read_until(process, "waiting")
    status, printed = sweep(file)
    assert status == 2
    assert f"{tmp_path / 'out'}: another sweep is running in this folder" in printed
    assert sweep(file, "--table")[0] == 0
    assert table(tmp_path)["variants"]["plain"]["runs"][0]["status"] == "running"
    process.send_signal(number)
    printed, _ = process.communicate()
    assert process.returncode == expected, printed
    assert printed.count("stopped by") == 2  # once by the training, once by the sweep
    states = [(run["status"], run["step"]) for v in table(tmp_path)["variants"].values() for run in v["runs"]]
    assert states == [("interrupted", 2), ("not started", 0)]
    (tmp_path / "wait").unlink()
    status, printed = sweep(file)
    assert status == 0
    assert "trained from step 2" in printed
    assert table(tmp_path)["variants"]["plain"]["runs"][0]["status"] == "finished"


def test_killed_sweep_leaves_no_running_run_in_the_table(write, sweep, tmp_path):
    file = write(seeds=[0])
    (tmp_path / "wait").touch()
    process = start("-c", COMMAND, file, "--output", tmp_path / "out")
    training = int(read_until(process, "waiting").split()[-1])
    watch = select.poll()
    watch.register(os.pidfd_open(training))
    process.kill()
    process.wait()
    assert "another sweep" in sweep(file)[1]  # the training that it has left behind
    os.kill(training, signal.SIGKILL)
    watch.poll()  # until it has ended
    assert sweep(file, "--table")[0] == 0
    assert table(tmp_path)["variants"]["plain"]["runs"][0]["status"] == "interrupted"


def test_folder_with_runs_of_other_settings_is_refused(write, sweep, tmp_path):
    assert sweep(write())[0] == 0
    before = (tmp_path / "out" / "table.md").read_text()
    status, printed = sweep(write(set={"train.iterations": 5, "model.decoder.channels": 16}))
    assert status == 2
    assert "plain/seed_0 holds a run with other settings:\n  train.iterations: 4 -> 5\nchoose another" in printed
    assert (tmp_path / "out" / "table.md").read_text() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variant": {}}, "sweep.yaml: unknown key 'variant'; did you mean 'variants'?"),
        ({"variants": {}}, "sweep.yaml: variants: dictionary should have at least 1 item"),
        ({"seeds": [1, 1]}, "sweep.yaml: seeds: [1, 1] names a seed twice"),
        ({"seeds": [-1]}, "sweep.yaml: seeds[0]: input should be greater than or equal to 0, found -1"),
        ({"config": None}, "sweep.yaml: variants.plain: config: expected the name of a file"),
        ({"config": "bas.yaml"}, "sweep.yaml: variants.plain: config file not found"),
        ({"variants": {"a/b": None}}, "sweep.yaml: variants.a/b: expected a name of letters, digits"),
        ({"variants": {"a": {"train.seed": 1}}}, "variants.a: train.seed: the seeds of a sweep are those of 'seeds'"),
        (
            {"variants": {"plain": None, "wide": {"model.decoder.chanels": 64}}},
            "sweep.yaml: variants.wide: --set: unknown key 'model.decoder.chanels'; did you mean 'channels'?",
        ),
        ({"variants": {"fast": {"optimizer.lr": "x"}}}, "variants.fast: --set: optimizer.lr: input should be a valid"),
        ({"set": {"train.eval_every": 0}}, "variants.plain: train.eval_every: found 0, expected the steps between"),
    ],
)
def test_mistakes_are_found_before_the_first_run(write, sweep, tmp_path, changes, message):
    status, printed = sweep(write(**changes))
    assert status == 2
    assert message in printed
    assert not (tmp_path / "out").exists()


def test_table_of_nothing(write, sweep):
    status, printed = sweep(write(), "--table")
    assert status == 2
    assert "no such folder; run the sweep first" in printed


def test_variant_with_a_config_and_values_of_its_own(write, tmp_path):
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({**CONFIG, "optimizer": {"name": "sgd", "lr": 0.5}}))
    decoder = {"name": "cpt", "channels": 32, "memory": "off"}
    variants = {"other": {"config": "other.yaml", "model.decoder": decoder, "train.iterations": 7, "train.ema": None}}
    (run,) = plan.read_sweep(write(seeds=[1], set={"train.iterations": 5}, variants=variants), None).runs
    assert (run.config.optimizer.name, run.config.optimizer.lr) == ("sgd", 0.5)
    assert run.config.model.decoder.memory is None
    assert (run.config.train.iterations, run.config.train.seed) == (7, 1)
    assert str(run.folder.path) == "runs/sweep/other/seed_1"


def test_real_training_with_a_feature_report(small_config, tmp_path, monkeypatch, capfd):
    file = tmp_path / "real.yaml"
    settings = {"train.iterations": 2, "train.eval_every": 2, "device.mode": "pynative"}
    values = {"config": str(small_config), "set": settings, "variants": {"small": None}, "feature_report": True}
    file.write_text(yaml.safe_dump(values))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert run_inside(monkeypatch, "src.tools.sweep", file, "--output", tmp_path / "out") == 0
    assert "[1/1] small, seed 0: finished at step 2" in capfd.readouterr().out
    (run,) = table(tmp_path)["variants"]["small"]["runs"]
    assert run["last"] == run["best"] >= 0
    report = json.loads((tmp_path / "out" / "small" / "seed_0" / "features" / "feature_report.json").read_text())
    assert run["ratio"] == report["ratio"] > 0
    assert (tmp_path / "out" / "small" / "seed_0" / "checkpoints" / "last.ckpt").is_file()
