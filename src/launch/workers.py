"""What a launcher knows of the workers on its machine: alive, silent, where they stand, how they ended.

A worker is silent when it neither beats nor uses any processor time: MindSpore may keep Python's threads from running
while it compiles a graph, and with them the beat. While it joins the others it does so for minutes and idles; until
then, and for the scheduler, which has no beat, only a process that the kernel calls stopped is silent. Times are this
process's own: no clock of another process or machine is ever read.
"""

import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from src.heartbeat import address
from src.launch import clock
from src.launch.processes import GONE, how_it_ended, pulse

LARGEST = 4096  # bytes of a beat
TICKS = os.sysconf("SC_CLK_TCK")  # units of processor time in a second
STOPPED = ("T", "t")  # states of a process, see proc(5)
WORKING = 0.2  # seconds of processor time a second, from which on a process counts as working


@dataclass
class Worker:
    """One worker, or the scheduler, seen from outside."""

    process: psutil.Process
    name: str
    heard: float = field(default_factory=clock.now)  # its last sign of life
    moved: float = field(default_factory=clock.now)  # when its work last moved on
    worked: float = field(default_factory=clock.now)  # when it last moved on or computed
    step: int | None = None
    changes: int = 0  # of the step: the first may be to that of the checkpoint
    ticks: int = 0
    busy: bool = False
    finished: bool = False  # its work is done and written
    used: int = 0  # processor time, in the kernel's units
    looked: float = field(default_factory=clock.now)

    def hear(self, beat: dict) -> None:
        """Take a beat."""
        self.heard = clock.now()
        self.busy, self.finished = bool(beat["busy"]), bool(beat.get("finished"))
        if int(beat["ticks"]) != self.ticks:
            self.changes += self.step is not None and self.step != int(beat["step"])
            self.ticks, self.step = int(beat["ticks"]), int(beat["step"])
            self.moved = self.worked = self.heard

    def look(self) -> None:
        """Compare its processor time with that of a second ago."""
        now = clock.now()
        if now - self.looked < 1:
            return
        found = pulse(self.process.pid)
        if found is None:
            return
        starting = self.ticks == 0 and found.state not in STOPPED
        if found.ticks > self.used or starting:
            self.heard = now
            if (found.ticks - self.used) / TICKS > WORKING * (now - self.looked):
                self.worked = now
                if self.busy:
                    self.moved = now  # a long evaluation compiles or draws
        self.used, self.looked = found.ticks, now

    def silence(self) -> float:
        """Seconds since its last sign of life."""
        return clock.now() - self.heard

    def place(self) -> str:
        """Where it stood, in words."""
        return f"at step {self.step}" if self.step else "before its first step"


class Workers:
    """The ``count`` workers of one machine, by rank, and the scheduler if it runs here."""

    def __init__(self, job: str, count: int):
        self.count = count
        self.by_rank: dict[int, Worker] = {}
        self.scheduler: Worker | None = None
        self.beats = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.beats.setblocking(False)
        self.beats.bind(address(job))

    def close(self) -> None:
        """Listen no longer."""
        self.beats.close()

    def look(self, msrun: int) -> None:
        """Find new processes among the children of msrun, and take what all have to say."""
        if len(self.by_rank) < self.count:  # the scheduler starts before them
            with suppress(*GONE):
                for child in psutil.Process(msrun).children():
                    self._find(child)
        with suppress(BlockingIOError):
            while True:
                self._hear(self.beats.recv(LARGEST))
        for worker in self.everybody():
            worker.look()

    def everybody(self) -> list[Worker]:
        """Workers and scheduler."""
        return [*self.by_rank.values(), *([self.scheduler] if self.scheduler else [])]

    def processes(self) -> list[psutil.Process]:
        """The workers' processes."""
        return [worker.process for worker in self.by_rank.values()]

    def failures(self) -> dict[int, str]:
        """Rank -> how it ended, of those whose end can still be seen."""
        ends = {rank: how_it_ended(worker.process.pid) for rank, worker in self.by_rank.items()}
        return {rank: end for rank, end in ends.items() if end}

    def ended(self) -> bool:
        """Whether all workers have been seen and have ended."""
        return len(self.by_rank) == self.count and not self.running()

    def running(self) -> list[psutil.Process]:
        """The workers that have not ended."""
        return [one for one in self.processes() if (found := pulse(one.pid)) and not found.ended]

    def silent(self, limit: float) -> Worker | None:
        """The one that has been silent for more than ``limit`` seconds."""
        running = (one for one in self.everybody() if (found := pulse(one.process.pid)) and not found.ended)
        return next((one for one in running if one.silence() > limit), None)

    @property
    def finished(self) -> bool:
        """Whether one of them has said that all work is done; none says so before all are at the end."""
        return any(worker.finished for worker in self.by_rank.values())

    def step(self) -> int | None:
        """The last step that any of them told of."""
        return max((worker.step for worker in self.by_rank.values() if worker.step is not None), default=None)

    def moved(self) -> float:
        """When the work of any of them last moved on."""
        return max((worker.moved for worker in self.by_rank.values()), default=0.0)

    def stalled(self) -> float:
        """Seconds since any of them moved on or computed.

        It is 0 before the second step, since other processes may compile for them, and while one evaluates or writes.
        """
        all_of_them = self.by_rank.values()
        if not all_of_them or any(one.changes < 2 or one.busy or one.finished for one in all_of_them):
            return 0.0
        return clock.now() - max(one.worked for one in all_of_them)

    def _find(self, child: psutil.Process) -> None:
        if any(child.pid == one.process.pid for one in self.everybody()):
            return
        with suppress(*GONE):
            values = child.environ()
            if values.get("MS_ROLE") == "MS_WORKER":
                rank = int(values["RANK_ID"])
                self.by_rank[rank] = Worker(child, f"worker {rank}")
            elif values.get("MS_ROLE") == "MS_SCHED":
                self.scheduler = Worker(child, "the scheduler")

    def _hear(self, data: bytes) -> None:
        with suppress(ValueError, KeyError, TypeError):  # another process of this machine may send anything
            beat = json.loads(data)
            worker = self.by_rank.get(beat["rank"])
            if worker:
                worker.hear(beat)
