"""Jobs on several hosts, which are network namespaces: real trainings of a tiny network, real cables, real faults.

The slow tests print a line for the table in docs/several_machines.md: ``pytest -m slow -s tests/launch/test_hosts.py``.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import psutil
import pytest
import yaml

from src.checkpoint import load_checkpoint
from src.launch import clock
from tests.commands import read_until
from tests.conftest import SMALL
from tests.hosts import PORT, Stand, why_not
from tests.launch.test_launch import steps

BOUND = 90  # seconds within which every launcher must have ended after a fault
PATIENCE = 900  # seconds for what may take long on a busy machine
SET = ["--set", "train.eval_every=0", "optimizer.name=sgd", "optimizer.lr=0.01"]
needs_hosts = pytest.mark.skipif(bool(why_not()), reason=str(why_not()))
slow = pytest.mark.slow


class Job:
    """The launchers of one job on a stand."""

    def __init__(self, stand, folder, workers=None, module="tests.launch.tiny launcher", shared=False, **train):
        self.stand, self.folder, self.workers = stand, folder, workers or len(stand.hosts)
        self.module, self.shared, self.train = module, shared, train

    def place(self, host):
        """Every host has its files elsewhere, unless they share a disk."""
        return self.folder / ("shared" if self.shared else f"host{host}")

    def config(self, host):
        path = self.place(host) / "small.yaml"
        if not path.exists():
            path.parent.mkdir(parents=True)
            shapes = {**SMALL["data"]["shapes"], "size": [32, 32]}
            data = {**SMALL["data"], "shapes": shapes, "crop": [32, 32], "records": str(path.parent / "records")}
            path.write_text(yaml.safe_dump({**SMALL, "data": data, "train": {**SMALL["train"], **self.train}}))
        return path

    def start(self, host, *more, overrides=(), environment=None):
        place = {"NUM_NODES": len(self.stand.hosts), "NODE_RANK": host, "MASTER_PORT": PORT}
        place = {**place, "MASTER_ADDR": self.stand.address(0), **(environment or {})}
        return self.stand.start(
            host, sys.executable, "-m", *self.module.split(), "--workers", self.workers, "--config", self.config(host),
            "--output", self.output(host), *more, *SET, *overrides,
            environment={key: str(value) for key, value in place.items()},
        )  # fmt: skip

    def all(self, *more, **options):
        return [self.start(host, *more, **options) for host in range(len(self.stand.hosts))]

    def output(self, host):
        return self.place(host) / "run"

    def saved(self):
        """Step of the last checkpoint."""
        return load_checkpoint(self.output(0) / "checkpoints" / "last.ckpt").meta["step"]

    def copy(self):
        """Give every other host the first one's run, as a user without a shared disk does."""
        for host in range(1, len(self.stand.hosts)):
            shutil.rmtree(self.output(host) / "checkpoints", ignore_errors=True)
            shutil.copytree(self.output(0) / "checkpoints", self.output(host) / "checkpoints")
            shutil.copy(self.output(0) / "config.yaml", self.output(host) / "config.yaml")


def ends(programs):
    """Output and status of every launcher; read side by side, since a full pipe would stop them."""
    found = {}

    def read(number, program):
        with suppress(subprocess.TimeoutExpired):
            found[number] = (program.communicate(timeout=PATIENCE)[0], program.returncode)

    threads = [threading.Thread(target=read, args=pair) for pair in enumerate(programs)]
    for thread in threads:
        thread.start()
    join(threads)
    assert len(found) == len(programs), f"still running after {PATIENCE} s: {set(range(len(programs))) - found.keys()}"
    return [found[number] for number in range(len(programs))]


def join(threads):
    """Wait for threads while the clock is read, which leaves out the time in which this process is suspended."""
    while any(thread.is_alive() for thread in threads):
        clock.now()
        time.sleep(0.05)


def nothing_left(stand):
    for host in range(len(stand.hosts)):
        psutil.wait_procs(stand.processes(host), timeout=30)
        assert not stand.processes(host)


@needs_hosts
def test_cut_cable_ends_both_hosts(tmp_path):
    """With pretended workers, which start at once."""
    with Stand(2) as stand:
        job = Job(stand, tmp_path, module="tests.launch.pretend launcher")
        programs = job.all("--silence", 4, environment={"PRETEND": "deaf"})
        for program in programs:
            read_until(program, "step 3/")
        stand.cut(1)
        for host, (output, status) in enumerate(ends(programs)):
            assert status == 1, output
            other = 1 - host
            assert f"host {other} ({stand.address(other)}) has been silent for 4 s" in output
        nothing_left(stand)


@slow
@needs_hosts
@pytest.mark.parametrize(("hosts", "workers", "batch"), [(2, 2, 4), (2, 4, 4), (3, 3, 6), (3, 6, 6)])
def test_training_equals_that_of_one_host(tmp_path, hosts, workers, batch):
    """SGD, 20 steps; the hosts have different paths."""
    losses = []
    for count in (1, hosts):
        with Stand(count) as stand:
            job = Job(stand, tmp_path / str(count), workers, batch_size=batch)
            for output, status in ends(job.all(overrides=["train.iterations=20"])):
                assert status == 0, output
            losses.append(steps(job.output(0)))
            nothing_left(stand)
    assert list(losses[0]) == list(range(1, 21))
    for step, loss in losses[0].items():
        assert losses[1][step] == pytest.approx(loss, rel=1e-6)


def kill(host, role):
    return lambda stand: stand.find(host, role).kill()


FAULTS = {
    "cable cut": (lambda stand: stand.cut(1), "has been silent for 15 s"),
    "worker of host 1 killed": (kill(1, "MS_WORKER"), "worker 1 was killed by SIGKILL"),
    "scheduler killed": (kill(0, "MS_SCHED"), "the scheduler was killed by SIGKILL"),
    "msrun of host 1 killed": (kill(1, "msrun"), "msrun was killed by SIGKILL"),
    "launcher of host 0 killed": (kill(0, "launcher"), "the launcher of host 0"),
    "launcher of host 1 killed": (kill(1, "launcher"), "the launcher of host 1"),
    "worker of host 1 stopped": (lambda stand: stand.find(1, "MS_WORKER").suspend(), "worker 1 has been silent for"),
}


@slow
@needs_hosts
@pytest.mark.parametrize("name", FAULTS)
def test_fault_ends_the_job_and_the_same_command_continues(tmp_path, name):
    fault, words = FAULTS[name]
    with Stand(2) as stand:
        job = Job(stand, tmp_path)
        programs = job.all("--silence", 15, overrides=["train.iterations=200"])
        read_until(programs[0], "step 5/200")
        fault(stand)
        begin = clock.now()
        found = ends(programs)
        seconds = clock.now() - begin
        killed = [status for _, status in found].count(-9)
        assert killed == ("launcher" in name)
        assert all(status in (1, -9) for _, status in found)
        assert any(words in output for output, _ in found), found
        nothing_left(stand)
        assert seconds < BOUND
        saved, last = job.saved(), max(steps(job.output(0)))
        print(f"\n| {name}, --silence 15 | {seconds:.0f} s | {last - saved} steps |")
        stand.mend(1)
        job.copy()
        for output, status in ends(job.all(overrides=[f"train.iterations={saved + 2}"])):
            assert status == 0, output
            assert f"at step {saved}" in output


@slow
@needs_hosts
def test_two_hosts_that_no_longer_hear_each_other_end_the_job(tmp_path):
    """The first hears both, so that no launcher is silent; all workers wait."""
    with Stand(3) as stand:
        job = Job(stand, tmp_path, batch_size=6)
        programs = job.all("--silence", 15, "--stall", 20, overrides=["train.iterations=400"])
        read_until(programs[0], "step 40/400")
        stand.part(1, 2)
        begin = clock.now()
        found = ends(programs)
        seconds = clock.now() - begin
        for output, status in found:
            assert status == 1, output
            assert "no worker of any host has made progress for 2" in output  # seconds
        assert seconds < BOUND
        saved, last = job.saved(), max(steps(job.output(0)))
        print(f"\n| two of three hosts parted, --stall 20 | {seconds:.0f} s | {last - saved} steps |")
        nothing_left(stand)


@slow
@needs_hosts
def test_restarts_train_to_the_end(tmp_path):
    """A worker is killed, and in the second attempt the scheduler; nobody does anything."""
    with Stand(2) as stand:
        job = Job(stand, tmp_path, shared=True)
        programs = job.all("--restarts", 2, "--backoff", 1, overrides=["train.iterations=200"])
        read_until(programs[0], "step 5/200")
        stand.find(1, "MS_WORKER").kill()
        read_until(programs[0], "attempt 1 of 3 failed: ")
        before = read_until(programs[0], "step 40/200")
        assert re.search(r"resuming .* at step \d+", before)
        stand.find(0, "MS_SCHED").kill()
        for output, status in ends(programs):
            assert status == 0, output
            assert "attempt 2 of 3 failed: " in output
        assert list(steps(job.output(0))) == list(range(1, 201))
        nothing_left(stand)


@slow
@needs_hosts
def test_worker_that_stops_for_a_while_is_waited_for(tmp_path):
    """60 seconds, where the limit is 90."""
    with Stand(2) as stand:
        programs = Job(stand, tmp_path).all("--silence", 90, overrides=["train.iterations=8"])
        read_until(programs[0], "step 3/8")
        worker = stand.find(1, "MS_WORKER")
        worker.suspend()
        threading.Timer(60, worker.resume).start()
        for output, status in ends(programs):
            assert status == 0, output


@slow
@needs_hosts
def test_sleep_of_all_is_no_silence(tmp_path):
    """As of a virtual machine that is paused; the workers are pretended."""
    with Stand(2) as stand:
        job = Job(stand, tmp_path, module="tests.launch.pretend launcher")
        programs = job.all("--silence", 4, environment={"PRETEND_STEPS": "60"})
        for program in programs:
            read_until(program, "step 3/60")
        everything = [process for host in (0, 1) for process in stand.processes(host)]
        for process in everything:
            process.suspend()
        time.sleep(15)
        for process in everything:
            process.resume()
        for output, status in ends(programs):
            assert status == 0, output


@slow
@needs_hosts
def test_another_checkpoint_is_refused(tmp_path):
    with Stand(2) as stand:
        job = Job(stand, tmp_path)
        assert [status for _, status in ends(job.all(overrides=["train.iterations=2"]))] == [0, 0]
        found = ends(job.all(overrides=["train.iterations=4"]))  # nobody has copied the run
        assert [status for _, status in found] == [2, 2]
        assert any("worker 0 at step 2, worker 1 at step 0" in output for output, _ in found)
        nothing_left(stand)


@slow
@needs_hosts
def test_full_disk_on_the_first_host(tmp_path):
    with Stand(2) as stand:
        job = Job(stand, tmp_path)
        job.config(0)
        job.output(0).mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "disk", job.output(0)], check=True)
        try:
            programs = job.all(overrides=["train.iterations=50"])
            read_until(programs[0], "step 3/50")
            with suppress(OSError), (job.output(0) / "filler").open("wb") as filler:
                while True:
                    filler.write(bytes(1 << 20))
            begin = clock.now()
            found = ends(programs)
            assert [status for _, status in found] == [2, 2]
            assert any("No space left on device" in output for output, _ in found), found
            seconds = clock.now() - begin
            last = max(map(int, re.findall(r"^step (\d+)/50", found[0][0], re.M)), default=3)  # metrics may lack some
            nothing_left(stand)
            (job.output(0) / "filler").unlink()
            saved = job.saved()
            print(f"\n| disk of host 0 full | {seconds:.0f} s | {last - saved} steps |")
            job.copy()
            for output, status in ends(job.all(overrides=[f"train.iterations={saved + 2}"])):
                assert status == 0, output
        finally:
            subprocess.run(["umount", "-l", job.output(0)], check=False)


@slow
@needs_hosts
@pytest.mark.skipif(not shutil.which("cc"), reason="another clock needs a C compiler")
def test_clocks_an_hour_apart(tmp_path):
    library = tmp_path / "clock.so"
    source = os.path.join(os.path.dirname(__file__), "slow_clock.c")  # noqa: PTH118, PTH120
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    clock = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": "3600"}
    python = [sys.executable, "-c", "import time; print(time.time())"]
    shifted = subprocess.run(python, env={**os.environ, **clock}, capture_output=True, text=True, check=True)
    assert float(shifted.stdout) - time.time() > 3500
    with Stand(2) as stand:
        job = Job(stand, tmp_path)
        programs = [
            job.start(0, "--silence", 15, overrides=["train.iterations=4"]),
            job.start(1, "--silence", 15, overrides=["train.iterations=4"], environment=clock),
        ]
        for output, status in ends(programs):
            assert status == 0, output


@slow
@needs_hosts
@pytest.mark.parametrize("hung", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_the_second_launcher_stops_all(tmp_path, number, hung):
    """A job that is well saves first; one whose first worker is stopped hangs and is killed."""
    with Stand(2) as stand:
        job = Job(stand, tmp_path)
        programs = job.all(overrides=["train.iterations=200"])
        read_until(programs[0], "step 3/200")
        if hung:
            stand.find(0, "MS_WORKER").suspend()
        begin = clock.now()
        stand.find(1, "launcher").send_signal(number)
        found = ends(programs)
        seconds = clock.now() - begin
        assert [status for _, status in found] == [130 if number == signal.SIGINT else 1] * 2, found
        assert f"host 1 (10.77.0.2) was asked to stop ({number.name})" in found[0][0]
        words = [f"no progress for 20 s after {number.name}" in output for output, _ in found]
        assert any(words) if hung else not any(words) and "interrupted at step" in found[0][0]
        nothing_left(stand)
        assert seconds < (30 if hung else BOUND)
        saved, last = job.saved(), max(steps(job.output(0)))
        state = "hung" if hung else "well"
        print(f"\n| {number.name} to the second launcher of a job that is {state} | {seconds:.0f} s | {last - saved} |")
        assert hung or saved == last
