"""When a worker counts as silent or as moving on, and what the launcher shows and kills."""

import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from src import heartbeat
from src.launch import clock as clocks
from src.launch import logs, workers
from src.launch.cluster import Cluster
from src.launch.processes import Pulse, in_words, kill_marked, marked
from tests.commands import ROOT


@pytest.fixture
def clock(monkeypatch):
    """The launcher's clock, which the test moves."""
    now = [1000.0]
    monkeypatch.setattr(workers.clock, "now", lambda: now[0])
    return now


def test_time_in_which_the_launcher_sleeps_does_not_count(monkeypatch):
    real = [1000.0]
    monkeypatch.setattr(clocks.time, "monotonic", lambda: real[0])
    begin = clocks.now()
    for pause, counted in ((1.0, 1.0), (600.0, 1.0 + clocks.LONGEST), (0.5, 1.5 + clocks.LONGEST)):
        real[0] += pause
        assert clocks.now() - begin == pytest.approx(counted)


@pytest.fixture
def kernel(monkeypatch):
    """What the kernel says of a worker: state and processor time."""
    found = {"state": "S", "ticks": 0}
    monkeypatch.setattr(workers, "pulse", lambda pid: Pulse(found["state"], found["ticks"], 0))
    return found


@pytest.fixture
def worker(clock, kernel):
    return workers.Worker(psutil.Process(), "worker 1", heard=clock[0], moved=clock[0], looked=clock[0])


def pass_time(clock, worker, seconds):
    for _ in range(seconds):
        clock[0] += 1.5
        worker.look()


def test_before_the_first_step_only_a_stopped_process_is_silent(worker, clock, kernel):
    pass_time(clock, worker, 100)
    assert worker.silence() == 0
    kernel["state"] = "T"
    pass_time(clock, worker, 10)
    assert worker.silence() == 15


def test_later_it_must_beat_or_compute(worker, clock, kernel):
    worker.hear({"ticks": 1, "step": 4, "busy": False})
    pass_time(clock, worker, 10)
    assert worker.silence() == 15
    assert worker.place() == "at step 4"
    kernel["ticks"] += 3
    pass_time(clock, worker, 1)
    assert worker.silence() == 0
    pass_time(clock, worker, 4)
    worker.hear({"ticks": 1, "step": 4, "busy": False})
    assert worker.silence() == 0


def test_progress_is_a_tick_or_hard_work_on_an_evaluation(worker, clock, kernel):
    start = clock[0]
    worker.hear({"ticks": 0, "step": 0, "busy": False})
    kernel["ticks"] += 1000
    pass_time(clock, worker, 1)
    assert worker.moved == start
    worker.hear({"ticks": 1, "step": 2, "busy": True})
    assert worker.moved == clock[0]
    before = clock[0]
    pass_time(clock, worker, 2)
    assert worker.moved == before
    kernel["ticks"] += 1000
    pass_time(clock, worker, 1)
    assert worker.moved == clock[0]


def test_stalled_is_a_job_that_has_begun_and_neither_computes_nor_writes(clock, kernel, worker):
    found = workers.Workers(f"test-{os.getpid()}", 1)
    try:
        assert found.stalled() == 0
        found.by_rank[1] = worker
        for ticks, step in ((1, 0), (2, 40)):  # that of the checkpoint
            worker.hear({"ticks": ticks, "step": step, "busy": False})
            pass_time(clock, worker, 10)
            assert found.stalled() == 0
        worker.hear({"ticks": 3, "step": 41, "busy": False})
        pass_time(clock, worker, 10)
        assert found.stalled() == 15
        kernel["ticks"] += 1000
        pass_time(clock, worker, 1)
        assert found.stalled() == 0
        for busy, seconds in ((True, 0), (False, 15)):
            worker.hear({"ticks": worker.ticks + 1, "step": 41, "busy": busy})
            pass_time(clock, worker, 10)
            assert found.stalled() == seconds
    finally:
        found.close()


def test_beats_arrive_and_nonsense_does_not_matter(monkeypatch):
    job = f"test-{os.getpid()}"
    found = workers.Workers(job, 1)
    try:
        found.by_rank[0] = workers.Worker(psutil.Process(), "worker 0")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for data in (b"", b"nonsense", b"[1]", b"7", b'{"rank": 5}', b'{"rank": []}', b'{"rank": 0}', b"\xff" * 99):
                sender.sendto(data, heartbeat.address(job))
        found.look(os.getpid())
        monkeypatch.setenv(heartbeat.JOB, job)
        monkeypatch.setenv("MS_ROLE", "MS_WORKER")
        monkeypatch.setenv("RANK_ID", "0")
        program = (
            "from src import heartbeat as h; import time; h.tick(3); h.start(); h.start(); h.finish(); time.sleep(60)"
        )
        beating = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE)
        deadline = time.monotonic() + 30
        while not found.finished and time.monotonic() < deadline:
            found.look(os.getpid())
        assert found.step() == 3 and found.finished
        assert kill_marked(job) == []
        assert beating.wait() == -9
    finally:
        found.close()


def test_without_a_launcher_nothing_beats(monkeypatch):
    monkeypatch.delenv(heartbeat.JOB, raising=False)
    heartbeat.start()
    assert not heartbeat._threads
    assert heartbeat.ticking(lambda value: value + 1)(2) == 3


def test_marked_processes_are_found_by_role(monkeypatch):
    job = f"test-{os.getpid()}"
    environment = {**os.environ, heartbeat.JOB: job, "MS_ROLE": "MS_SCHED"}
    sleeping = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environment)
    try:
        assert [process.pid for process in marked(job)] == [sleeping.pid]
        assert marked(job, "MS_WORKER") == []
        assert marked(job[:-1]) == []
    finally:
        sleeping.kill()
        sleeping.wait()
    assert marked(job) == []


def test_ends_in_words():
    assert [in_words(code) for code in (3, -9, -250)] == [
        "ended with status 3", "was killed by SIGKILL", "was killed by signal 250",
    ]  # fmt: skip


def test_hosts_that_share_a_folder_leave_each_others_logs_alone(tmp_path):
    for name in ("worker_0.log", "worker_1.log", "msrun.log", "msrun_1.log", "scheduler.log"):
        (tmp_path / name).write_text("old")
    second = logs.Logs(tmp_path, Cluster(2, 2, 1, "10.0.0.1", 9000))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["msrun.log", "scheduler.log", "worker_0.log"]
    second.msrun.write_text("[ERROR] Worker process 71 exit with exception. Error code: -9.\n")
    assert second.noticed() == {71: -9}
