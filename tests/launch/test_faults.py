"""What ends a job of one or two hosts, and how fast: launchers with pretended workers, on this machine's loopback."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from src.launch.cluster import free_port
from tests.commands import ROOT, read_until

SILENCE = 4
BOUND = 90  # seconds within which every launcher must have ended; the limits here are smaller, the machine may be busy


class Launchers:
    """Launchers of one job, their output, and everything they have started."""

    def __init__(self, config, folder):
        self.config, self.folder, self.port = config, folder, free_port()
        self.programs, self.seen = [], set()

    def start(self, *more, host=0, hosts=2, workers=2, pretend="", steps=600, **environment):
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(self.port), "NODE_RANK": str(host)}
        program = subprocess.Popen(
            [sys.executable, "-m", "tests.launch.pretend", "launcher", "--workers", str(workers), "--config",
             self.config, "--output", self.folder / "run", "--silence", str(SILENCE), *map(str, more)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env={**os.environ, **(place if hosts > 1 else {}), "NUM_NODES": str(hosts), "PYTHONPATH": str(ROOT),
                 "PYTHONUNBUFFERED": "1", "PRETEND": pretend, "PRETEND_STEPS": str(steps), **environment},
        )  # fmt: skip
        self.programs.append(program)
        return program

    def both(self, *more, **options):
        return [self.start(*more, host=host, **options) for host in (0, 1)]

    def look(self):
        for program in self.programs:
            with suppress(psutil.NoSuchProcess):
                self.seen |= {*psutil.Process(program.pid).children(recursive=True)}

    def find(self, program, role):
        """A process below a launcher by its role: msrun, scheduler, worker."""
        self.look()
        below = psutil.Process(program.pid).children(recursive=True)
        return next(process for process in below if process.cmdline()[2:4] == ["tests.launch.pretend", role])

    def left(self):
        """What still runs of all that was ever seen."""
        return [one for one in self.seen if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]

    def stop(self):
        self.look()
        for process in [*self.left(), *self.programs]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for program in self.programs:
            program.wait()
            program.stdout.close()


@pytest.fixture
def launchers(small_config, tmp_path):
    found = Launchers(small_config, tmp_path)
    yield found
    found.stop()


def end(program):
    """The rest of its output and its status, within the bound."""
    output, _ = program.communicate(timeout=BOUND)
    return output, program.returncode


@pytest.mark.slow
@pytest.mark.parametrize("after", ["crash:1", "linger:0"])
def test_two_hosts_train_to_the_end_and_what_mindspore_does_after_it_harms_nobody(launchers, after):
    for program in launchers.both("--grace", 2, steps=5, pretend=after):
        output, status = end(program)
        assert status == 0, output
        assert "step 5/5" in output


@pytest.mark.parametrize(
    ("host", "role", "words"),
    [
        pytest.param(1, "worker", "worker 1 was killed by SIGKILL", marks=pytest.mark.slow),
        pytest.param(0, "msrun", "msrun was killed by SIGKILL", marks=pytest.mark.slow),
        (0, "scheduler", "the scheduler was killed by SIGKILL"),
    ],
)
def test_killed_part_ends_both_hosts(launchers, host, role, words):
    programs = launchers.both()
    for program in programs:
        read_until(program, "step 5/600")
    launchers.look()
    launchers.find(programs[host], role).kill()
    for number, program in enumerate(programs):
        output, status = end(program)
        assert status == 1, output
        assert words in output
        assert number == host or ("host 0: " if host == 0 else "host 1 (127.0.0.1): ") in output
    assert not launchers.left()


@pytest.mark.parametrize(("host", "pretend"), [(0, ""), pytest.param(1, "deaf", marks=pytest.mark.slow)])
def test_killed_launcher_ends_the_other_host_and_leaves_no_process(launchers, host, pretend):
    programs = launchers.both(pretend=pretend)
    for program in programs:
        read_until(program, "step 3/600")
    launchers.look()
    programs[host].kill()
    output, status = end(programs[1 - host])
    assert status == 1
    assert f"the launcher of host {host} (127.0.0.1) " in output and "; last heard " in output
    psutil.wait_procs(launchers.left(), timeout=BOUND)
    assert not launchers.left()


@pytest.mark.slow
def test_stopped_launcher_is_named_with_the_time_of_its_silence(launchers):
    programs = launchers.both()
    for program in programs:
        read_until(program, "step 40/600")
    launchers.look()
    programs[1].send_signal(signal.SIGSTOP)
    output, status = end(programs[0])
    assert status == 1
    assert f"host 1 (127.0.0.1) has been silent for {SILENCE} s; last heard at step" in output
    programs[1].send_signal(signal.SIGCONT)
    output, status = end(programs[1])
    assert status == 1
    assert not launchers.left()


@pytest.mark.parametrize("continued", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_stopped_worker_is_silent_and_a_continued_one_is_not(launchers, continued):
    program = launchers.start(hosts=1)
    read_until(program, "step 5/600")
    second = next(
        child
        for child in psutil.Process(program.pid).children(recursive=True)
        if (child.environ().get("MS_ROLE"), child.environ().get("RANK_ID")) == ("MS_WORKER", "1")
    )
    if continued:
        second.suspend()
        read_until(program, "step 15/600")  # a second later
        second.resume()
        read_until(program, "step 50/600")  # longer than the limit
    launchers.look()
    second.suspend()
    output, status = end(program)
    assert status == 1
    place = "at step" if continued else ""  # it may not have come to its first step
    assert f"worker 1 has been silent for {SILENCE} s; last heard {place}" in output
    assert not launchers.left()


@pytest.mark.slow
def test_workers_that_all_wait_are_given_up(launchers):
    """As where two hosts no longer hear each other and the first hears both."""
    programs = launchers.both("--stall", 4, pretend="deaf:25")
    for program in programs:
        output, status = end(program)
        assert status == 1
        assert re.search(r"no worker of any host has made progress for \d s; last heard at step 25", output), output
    assert not launchers.left()


def test_signal_to_one_launcher_reaches_all_hosts_and_what_hangs_is_killed(launchers):
    """The first host's worker saves, the second's hangs."""
    programs = [launchers.start("--grace", 2), launchers.start("--grace", 2, host=1, pretend="deaf")]
    first, second = check_stopped(launchers, programs, signal.SIGTERM, 1)
    assert "interrupted at step" in first
    assert "no progress for 2 s after SIGTERM; stopped without saving" in second


@pytest.mark.slow
@pytest.mark.parametrize("pretend", ["", "deaf"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 1), (signal.SIGINT, 130)])
def test_signal_stops_jobs_that_are_well_and_jobs_that_hang(launchers, number, status, pretend):
    programs = launchers.both("--grace", 2, "--restarts", 3, pretend=pretend)
    outputs = check_stopped(launchers, programs, number, status)
    for output in outputs:
        assert (f"no progress for 2 s after {number.name}; stopped without saving" in output) == bool(pretend)
    assert ("interrupted at step" in outputs[0]) != bool(pretend)


def check_stopped(launchers, programs, number, status):
    """Signal the second launcher."""
    for program in programs:
        read_until(program, "step 3/600")
    launchers.look()
    asked = time.monotonic()
    programs[1].send_signal(number)
    outputs = []
    for program in programs:
        output, found = end(program)
        assert found == status, output
        outputs.append(output)
    assert time.monotonic() - asked < 30
    assert f"host 1 (127.0.0.1) was asked to stop ({number.name})" in outputs[0]
    assert not launchers.left()
    return outputs


@pytest.mark.slow
def test_asked_job_saves(launchers):
    program = launchers.start(hosts=1)
    read_until(program, "step 5/600")
    program.send_signal(signal.SIGTERM)
    output, status = end(program)
    assert status == 0
    assert "interrupted at step" in output


@pytest.mark.slow
def test_mistake_of_one_host_is_everybodys(launchers):
    for program in launchers.both(pretend="fail:1:4:2"):
        output, status = end(program)
        assert status == 2
        assert "worker 1 ended with status 2" in output


def test_restarts_continue_from_what_was_saved_and_a_crash_after_the_end_harms_nobody(launchers):
    programs = launchers.both("--restarts", 2, "--backoff", 0.2, pretend="kill:1:5 crash:1", steps=9)
    for program in programs:
        output, status = end(program)
        assert status == 0, output
        assert output.count("; again in 0 s") == 1
        assert "attempt 1 of 3 failed: " in output and "worker 1 was killed by SIGKILL" in output
        assert "step 9/9" in output
    assert "at step 0" not in output.partition("attempt 1 of 3")[2]


@pytest.mark.slow
@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 1), (signal.SIGINT, 130)])
def test_signal_in_the_pause_before_a_restart_stops_all_hosts(launchers, number, status, host):
    programs = launchers.both("--restarts", 1, "--backoff", 300, pretend="fail:1:3:1")
    read_until(programs[0], "again in 300 s")
    read_until(programs[1], "host 0 waits for the end of the pause")
    programs[host].send_signal(number)
    ends = [end(program) for program in programs]
    assert ends[host][1] == status and ends[1 - host][1] == 1, ends
    words = (
        f"host {host} was stopped before the start" if host == 0 else "host 1 (127.0.0.1) was stopped before the start"
    )
    assert words in ends[1 - host][0]


@pytest.mark.slow
def test_restarts_are_given_up_with_the_reason(launchers):
    program = launchers.start("--restarts", 1, "--backoff", 0.1, hosts=1, pretend="fail:0:3:1")
    output, status = end(program)
    assert status == 1
    assert "gave up after 2 attempts: worker 0 ended with status 1" in output


@pytest.mark.slow
def test_mistakes_are_not_tried_again(launchers):
    program = launchers.start("--restarts", 3, hosts=1, pretend="fail:0:1:2")
    output, status = end(program)
    assert status == 2
    assert "again in" not in output
