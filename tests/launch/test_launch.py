"""scripts/run_distribute_train.sh: what it refuses, and what happens to a job whose worker dies."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from src.checkpoint import load_checkpoint
from src.errors import UserError
from src.launch import cluster as clusters
from src.launch import job as jobs
from src.launch import logs
from tests.commands import ROOT, read_until, run_inside

SCRIPT = ROOT / "scripts" / "run_distribute_train.sh"
# PyNative: two processes that compile on two cores take most of the time.
QUICK = ["device.mode=pynative", "train.eval_every=0"]


def job(*arguments):
    """Start the script as a user does, both outputs in one pipe."""
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"  # noqa: PTH120
    return subprocess.Popen(
        ["bash", SCRIPT, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PATH": path},
    )  # fmt: skip


def steps(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "split" not in line}


def test_machines_are_read_from_the_environment():
    alone = clusters.cluster(4, {})
    assert (alone.local, alone.first, alone.address) == (4, 0, "127.0.0.1")
    several = {"NUM_NODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "9000"}
    second = clusters.cluster(4, several)
    assert (second.local, second.first, second.address, second.port) == (2, 2, "10.0.0.1", 9000)
    assert "--node_rank=1" in jobs.command(second, ROOT, [])


@pytest.mark.parametrize(
    ("workers", "environment", "message"),
    [
        (0, {}, "NUM_WORKERS: 0 cannot be divided among 1 machines"),
        (3, {"NUM_NODES": "2"}, "NUM_WORKERS: 3 cannot be divided among 2 machines"),
        (2, {"NUM_NODES": "2"}, "need MASTER_ADDR and MASTER_PORT"),
        (2, {"NUM_NODES": "2", "NODE_RANK": "2"}, "NODE_RANK: found 2, expected 0 to 1"),
        (2, {"MASTER_PORT": "x"}, "MASTER_PORT: found 'x', expected a number"),
    ],
)
def test_impossible_machines(workers, environment, message):
    with pytest.raises(UserError, match=message):
        clusters.cluster(workers, environment)


def test_free_port_and_the_next_are_free(monkeypatch):
    with socket.create_server(("", 0)) as listener:
        taken = listener.getsockname()[1]
        monkeypatch.setattr(clusters, "PORTS", range(taken - 1, taken + 1))  # the launchers use the port after it, too
        with pytest.raises(UserError, match="name one with MASTER_PORT"):
            clusters.free_port()
    monkeypatch.undo()
    for port in (free := clusters.free_port(), free + 1):
        with socket.create_server(("127.0.0.1", port)) as listener:
            assert listener.getsockname()[1] == port


def test_last_words_are_the_error(tmp_path):
    log = tmp_path / "worker_1.log"
    log.write_text("step 1\n[WARNING] noise\nerror: data.root: not there\nmend it\n[INFO] more\n")
    assert logs.last_words(log) == ["error: data.root: not there", "mend it"]
    log.write_text("\n".join(map(str, range(20))))
    assert logs.last_words(log, 2) == ["18", "19"]


@pytest.mark.parametrize(
    ("workers", "options", "message"),
    [
        ("3", [], "train.batch_size: 4 images at a time (batch_size / accumulate) cannot be divided among 3 workers"),
        ("2", ["--set", "train.bach_size=4"], "did you mean 'batch_size'"),
        ("1", ["--restarts", "2"], "--restarts: found 2, expected 0 with one worker"),
    ],
)
def test_mistakes_are_found_before_anything_starts(
    small_config, tmp_path, monkeypatch, capfd, workers, options, message
):
    arguments = ["--workers", workers, "--config", small_config, "--output", tmp_path / "run", *options]
    assert run_inside(monkeypatch, "src.launch", *arguments) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


def test_usage():
    done = subprocess.run(["bash", SCRIPT, "config.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage: bash scripts/run_distribute_train.sh CONFIG NUM_WORKERS" in done.stderr


def test_killed_worker_ends_the_job_and_it_can_be_resumed(small_config, tmp_path):
    """A worker is killed with SIGKILL; the job ends, names it, leaves no process, and the same command goes on."""
    folder = tmp_path / "run"
    arguments = [small_config, "2", "--output", folder, "--set", *QUICK, "train.iterations=4"]
    process = job(*arguments)
    read_until(process, "step 3/4")
    (worker,) = (
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if (child.environ().get("MS_ROLE"), child.environ().get("RANK_ID")) == ("MS_WORKER", "1")
    )
    children = psutil.Process(process.pid).children(recursive=True)
    killed = time.monotonic()
    worker.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert time.monotonic() - killed < 60
    assert process.returncode == 1
    assert "error: worker 1 was killed by SIGKILL" in output
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    saved = load_checkpoint(folder / "checkpoints" / "last.ckpt").meta["step"]
    assert saved >= 2
    before = steps(folder)

    process = job(*arguments)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert f"at step {saved}" in output
    after = steps(folder)
    assert list(after) == [1, 2, 3, 4]
    for step in before.keys() & after.keys():
        assert after[step] == pytest.approx(before[step], rel=1e-6)


@pytest.mark.slow
def test_ctrl_c_lets_two_workers_save_and_resuming_equals_the_straight_run(small_config, tmp_path):
    straight = job(small_config, "2", "--output", tmp_path / "straight", "--set", *QUICK)
    output, _ = straight.communicate()
    assert straight.returncode == 0, output
    arguments = [small_config, "2", "--output", tmp_path / "broken", "--set", *QUICK]
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
        process = job(*arguments)
        read_until(process, "step 2/6" if number == signal.SIGINT else "step 4/6")
        process.send_signal(number)
        output, _ = process.communicate()
        assert process.returncode == status, output
        assert "interrupted at step" in output and "saved" in output
    process = job(*arguments)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    first, second = steps(tmp_path / "straight"), steps(tmp_path / "broken")
    assert first.keys() == second.keys()
    for step, loss in first.items():
        assert second[step] == pytest.approx(loss, rel=1e-6)
