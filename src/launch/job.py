"""One attempt at a job on one machine: ``msrun``, its workers and its scheduler, started and watched from outside.

What ``msrun`` leaves open is done here: the console shows the first worker alone, Ctrl-C and SIGTERM let the workers
finish their step and save, and what dies or falls silent is noticed within seconds.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from src.heartbeat import JOB
from src.launch import clock
from src.launch.cluster import Cluster, search_path
from src.launch.guardian import Guardian
from src.launch.logs import Logs, last_words
from src.launch.processes import how_it_ended, in_words, kill_marked, send
from src.launch.workers import Workers

ROOT = Path(__file__).resolve().parents[2]
SPARE = 5.0  # seconds that another host's launcher has to end a job whose launcher here hangs, before the guardian does
SETTLE = 1.5  # seconds in which msrun, which looks once a second, notices an end
DEFAULTS = {
    "GLOG_v": "3",  # errors only
    "MS_CPU_COMM_OP_TIMEOUT": "1800",  # seconds that workers wait for each other: one may be evaluating or writing
}


@dataclass(frozen=True)
class Limits:
    """Seconds after which something counts as lost."""

    silence: float = 60.0  # of a worker, the scheduler, or another host's launcher
    grace: float = 20.0  # without progress after Ctrl-C or SIGTERM, and for MindSpore's own end
    wait: float = 300.0  # for the other hosts at the start
    stall: float = 300.0  # without progress of any worker of any host


@dataclass(frozen=True)
class Trouble:
    """Why a job cannot go on."""

    reason: str
    status: int = 1  # 2: the user's mistake, which another attempt would repeat
    asked: bool = False  # a user wanted the end


def command(place: Cluster, logs: Path, arguments: list[str]) -> list[str]:
    """The ``msrun`` command line."""
    return [
        "msrun", f"--worker_num={place.workers}", f"--local_worker_num={place.local}",
        f"--node_rank={place.node_rank}", f"--master_addr={place.address}", f"--master_port={place.port}",
        f"--log_dir={logs}", "--join=True", "--cluster_time_out=300", "--tail_worker_log=-2",
        "train.py", *arguments,
    ]  # fmt: skip


class Job:
    """``msrun`` and its workers.

    Args:
        mark: a name for the job that no other job has; all its processes carry it in their environment.
        extra: further variables of their environment.
    """

    def __init__(
        self, place: Cluster, logs: Logs, arguments: list[str], mark: str, limits: Limits, extra: dict[str, str]
    ):
        self.place, self.logs, self.mark, self.limits = place, logs, mark, limits
        self.failed: dict[int, str] = {}  # rank: how it ended
        self.asked: set[int] = set()  # process ids that have had a signal
        self.ended: float | None = None  # when all workers were first seen to have ended
        self.finished: float | None = None  # when one of them said that all work is done
        self.workers = Workers(mark, place.local)
        self.guardian = Guardian(mark, limits.silence + SPARE)
        # The launcher decides who is lost. MindSpore's own limit counts a sleep of the machine as silence: it is long.
        defaults = {
            **DEFAULTS,
            "LOCAL_WORLD_SIZE": str(place.local),
            "MS_NODE_TIMEOUT": str(round(limits.silence) + 3600),
        }
        environment = {**defaults, **os.environ, "PYTHONUNBUFFERED": "1", "PATH": search_path(), JOB: mark, **extra}
        with logs.msrun.open("w") as log:
            self.msrun = subprocess.Popen(
                command(place, logs.folder, arguments), cwd=ROOT, env=environment, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def look(self) -> None:
        """See what has changed, and show what the first worker has printed."""
        self.guardian.beat()
        self.workers.look(self.msrun.pid)
        if self.ended is None and self.workers.ended():
            self.ended = clock.now()
        if self.finished is None and self.workers.finished:
            self.finished = clock.now()
        if not self.failed and self.finished is None and (found := self.workers.failures()):
            self.failed = self._told_by_logs() or found  # msrun kills the others, which are then not to blame
        self.logs.show()

    def over(self) -> bool:
        """Whether all workers of this machine have ended, and msrun has had the time to say how.

        MindSpore sometimes crashes or hangs while it ends; once all work is written, that harms nobody.
        """
        return self.msrun.poll() is not None or _past(self.ended, SETTLE) or _past(self.finished, self.limits.grace)

    def ask(self, number: int) -> None:
        """Pass a signal on to the workers, once to each."""
        new = [process for process in self.workers.processes() if process.pid not in self.asked]
        send(new, number)
        self.asked |= {process.pid for process in new}

    def trouble(self) -> Trouble | None:
        """What has gone wrong, if anything has."""
        if self.finished is not None:
            return None
        if not self.failed and (self.msrun.poll() or self.over()):
            self.failed = self._told_by_logs()
        if self.failed:
            ends = ", ".join(f"worker {rank} {end}" for rank, end in sorted(self.failed.items()))
            return Trouble(ends, 2 if set(self.failed.values()) == {"ended with status 2"} else 1)
        scheduler = self.workers.scheduler
        if scheduler and (end := how_it_ended(scheduler.process.pid)):
            return Trouble(f"the scheduler {end}")
        if self.msrun.poll():
            return Trouble(f"msrun {in_words(self.msrun.returncode)}; see {self.logs.msrun}")
        silent = self.workers.silent(self.limits.silence)
        if silent:
            where = "" if silent is scheduler else f"; last heard {silent.place()}"
            return Trouble(f"{silent.name} has been silent for {silent.silence():.0f} s{where}")
        return None

    def explain(self) -> None:
        """Print where the failed workers' logs are, and their last words."""
        for rank in sorted(self.failed):
            log = self.logs.worker(rank)
            print(f"error: worker {rank} {self.failed[rank]}; its log: {log}", file=sys.stderr)
            if rank != self.place.first:
                for line in last_words(log):
                    print(f"  {line}", file=sys.stderr)

    def stop(self, patience: float) -> list[psutil.Process]:
        """End everything that is left; return what cannot be ended.

        Args:
            patience: seconds between asking the workers and killing them; 0 where they have been asked already.
        """
        if patience:
            send(self.workers.processes(), signal.SIGTERM)
        deadline = time.monotonic() + patience
        while self.workers.running() and time.monotonic() < deadline:
            self.guardian.beat()
            self.logs.show()
            time.sleep(0.1)
        left = kill_marked(self.mark)
        self.msrun.wait()
        self.logs.close()
        self.workers.close()
        self.guardian.close()
        return left

    def _told_by_logs(self) -> dict[int, str]:
        """The workers that failed before msrun killed the others, where msrun has been faster than `look`.

        msrun names them at some levels of its log; a worker that ends with status 2 says why in its own.
        """
        codes = self.logs.noticed()
        pids = {rank: worker.process.pid for rank, worker in self.workers.by_rank.items()}
        told = {rank: in_words(codes[pid]) for rank, pid in pids.items() if pid in codes}
        words = {rank: "".join(last_words(self.logs.worker(rank), 1)) for rank in self.place.ranks}
        mistaken = [rank for rank, last in words.items() if last.startswith("error:")]
        return told or dict.fromkeys(mistaken, "ended with status 2")


def _past(moment: float | None, seconds: float) -> bool:
    """Whether a moment was more than so many seconds ago."""
    return moment is not None and clock.now() - moment > seconds
