"""The processes of a job: found by a mark in their environment, whoever their parent is, and ended."""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from src.heartbeat import JOB

GONE = (psutil.NoSuchProcess, psutil.AccessDenied)  # a process may end at any time
GRACE = 10.0  # seconds between asking processes to end and killing them


def marked(job: str, role: str | None = None) -> list[psutil.Process]:
    """All processes that carry the job's mark and have not ended.

    Args:
        role: only those that MindSpore's msrun gave this role (``MS_WORKER``, ``MS_SCHED``).
    """
    wanted = {f"{JOB}={job}".encode()} | ({f"MS_ROLE={role}".encode()} if role else set())
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            with suppress(OSError, *GONE):
                if wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                    found.append(psutil.Process(int(folder.name)))
    return found


def send(processes: Iterable[psutil.Process], number: int) -> None:
    """Send a signal to those that are still there."""
    for process in processes:
        with suppress(*GONE):
            process.send_signal(number)


def ask_workers(job: str, seconds: float = GRACE) -> None:
    """Ask a job's workers to end, and wait for them."""
    send(marked(job, "MS_WORKER"), signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while marked(job, "MS_WORKER") and time.monotonic() < deadline:
        time.sleep(0.2)


def kill_marked(job: str, seconds: float = 10.0) -> list[psutil.Process]:
    """Kill every process of a job, also those that one of them still starts; return what is left.

    Nothing but a process that waits for a dead disk outlives this.
    """
    deadline = time.monotonic() + seconds
    while (left := marked(job)) and time.monotonic() < deadline:
        send(left, signal.SIGKILL)
        time.sleep(0.05)
    return left


@dataclass(frozen=True)
class Pulse:
    """What the kernel knows of a process."""

    state: str  # one letter, see proc(5)
    ticks: int  # processor time so far, in the kernel's units
    status: int  # of `waitpid`, once it has ended

    @property
    def ended(self) -> bool:
        """Whether it has ended and waits for its parent to notice."""
        return self.state in ("Z", "X")


def pulse(pid: int) -> Pulse | None:
    """State and processor time of a process; None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return Pulse(fields[0], int(fields[11]) + int(fields[12]), int(fields[-1]))


def how_it_ended(pid: int) -> str | None:
    """What became of a process, in words; None while it runs, if it ended well, or if it is gone altogether.

    Until its parent looks, the kernel keeps the status of an ended process.
    """
    found = pulse(pid)
    if found is None or not found.ended or found.status == 0:
        return None
    return in_words(os.waitstatus_to_exitcode(found.status))


def in_words(code: int) -> str:
    """An exit code as Python gives it: ``ended with status 1``, ``was killed by SIGKILL``."""
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
