"""A job of several workers: starts ``msrun`` and watches it from outside.

It adds what ``msrun`` lacks: a free port is chosen, the console shows only the first worker, Ctrl-C and SIGTERM let the
workers finish their step and save, and when a worker dies the others are stopped and its last output is shown.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from src.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
GONE = (psutil.NoSuchProcess, psutil.AccessDenied)  # a process may end at any time
POLL = 0.1  # seconds
PATIENCE = 30  # seconds that msrun may take to end after a worker has failed
NOISE = re.compile(r"^\[(WARNING|INFO)\]|^$")  # lines of MindSpore's own log
DEFAULTS = {
    "GLOG_v": "3",  # errors only
    "MS_NODE_TIMEOUT": "15",  # seconds until a silent worker counts as dead
    "MS_CPU_COMM_OP_TIMEOUT": "1800",  # seconds that workers wait for each other: one may be evaluating or writing
}


@dataclass
class Cluster:
    """Where the workers run."""

    workers: int  # of all machines
    nodes: int
    node_rank: int
    address: str
    port: int

    @property
    def local(self) -> int:
        """Workers on this machine."""
        return self.workers // self.nodes

    @property
    def first(self) -> int:
        """Rank of this machine's first worker."""
        return self.node_rank * self.local


def cluster(workers: int, environment: dict[str, str]) -> Cluster:
    """Read the machines from the environment; one machine and a free port unless it says otherwise.

    Raises:
        UserError: a number is missing or wrong.
    """
    nodes, node_rank = _number(environment, "NUM_NODES", 1), _number(environment, "NODE_RANK", 0)
    if workers < 1 or nodes < 1 or workers % nodes:
        raise UserError(f"NUM_WORKERS: {workers} cannot be divided among {nodes} machines (NUM_NODES)")
    if not 0 <= node_rank < nodes:
        raise UserError(f"NODE_RANK: found {node_rank}, expected 0 to {nodes - 1} (NUM_NODES is {nodes})")
    if nodes > 1 and not {"MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        raise UserError("several machines (NUM_NODES) need MASTER_ADDR and MASTER_PORT, the same on each")
    address = environment.get("MASTER_ADDR", "127.0.0.1")
    return Cluster(workers, nodes, node_rank, address, _number(environment, "MASTER_PORT", 0) or free_port())


def _number(environment: dict[str, str], name: str, default: int) -> int:
    value = environment.get(name, str(default))
    if not value.isdigit():
        raise UserError(f"{name}: found {value!r}, expected a number")
    return int(value)


def search_path() -> str:
    """Where programs are looked for: first beside this Python."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(place: Cluster, logs: Path, arguments: list[str]) -> list[str]:
    """The ``msrun`` command line."""
    return [
        "msrun", f"--worker_num={place.workers}", f"--local_worker_num={place.local}",
        f"--node_rank={place.node_rank}", f"--master_addr={place.address}", f"--master_port={place.port}",
        f"--log_dir={logs}", "--join=True", "--cluster_time_out=300", "--tail_worker_log=-2",
        "train.py", *arguments,
    ]  # fmt: skip


class Job:
    """``msrun`` and its workers, watched from outside."""

    def __init__(self, place: Cluster, logs: Path, arguments: list[str]):
        self.place, self.logs = place, logs
        self.signal: int | None = None
        self.failed: dict[int, str] = {}  # rank: how it ended
        self.shown = 0  # bytes of the first worker's log
        environment = {**DEFAULTS, **os.environ, "PYTHONUNBUFFERED": "1", "PATH": search_path()}
        own_log = "msrun.log" if place.first == 0 else f"msrun_{place.node_rank}.log"  # machines share the folder
        with (logs / own_log).open("w") as log:
            self.msrun = subprocess.Popen(
                command(place, logs, arguments), cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.workers: dict[int, psutil.Process] = {}

    def ask(self, number: int, _) -> None:
        """Pass a signal on to the workers; a second one ends them at once."""
        if self.signal is not None:
            self.kill()
        self.signal = number
        self.find_workers()
        for worker in self.workers.values():
            with suppress(*GONE):
                worker.send_signal(number)

    def find_workers(self) -> None:
        """Find the ranks of the processes that msrun has started."""
        with suppress(*GONE):
            for child in psutil.Process(self.msrun.pid).children():
                if child.pid in {worker.pid for worker in self.workers.values()}:
                    continue
                with suppress(*GONE):
                    values = child.environ()
                    if values.get("MS_ROLE") == "MS_WORKER":
                        self.workers[int(values["RANK_ID"])] = child

    def watch(self) -> int:
        """Wait for the end; return the exit status."""
        deadline = None
        while self.msrun.poll() is None:
            self.find_workers()
            self.show()
            if self.notice_dead() and deadline is None:
                deadline = time.monotonic() + PATIENCE
            if deadline and time.monotonic() > deadline:
                self.kill()
            time.sleep(POLL)
        self.show()
        self.notice_dead()
        self.kill()
        return self.status()

    def notice_dead(self) -> bool:
        """Whether a worker has failed; records how, unless it was only stopped because of another one."""
        if not self.failed:
            for rank, worker in self.workers.items():
                end = how_it_ended(worker)
                if end is not None:
                    self.failed[rank] = end
        return bool(self.failed)

    def show(self) -> None:
        """Print what is new in the log of this machine's first worker."""
        path = self.logs / f"worker_{self.place.first}.log"
        if not path.is_file():
            return
        with path.open("rb") as log:
            log.seek(self.shown)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self.shown += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if not NOISE.match(line):
                print(line, flush=True)

    def kill(self) -> None:
        """End everything that is left."""
        self.find_workers()
        for worker in self.workers.values():
            with suppress(*GONE):
                worker.kill()
        if self.msrun.poll() is None:
            os.killpg(self.msrun.pid, signal.SIGKILL)  # msrun and the scheduler; the workers have sessions of their own
            self.msrun.wait()

    def status(self) -> int:
        """Exit status of the job; prints which worker failed and the last lines of its log."""
        if self.signal == signal.SIGINT:
            return 130
        if self.msrun.returncode == 0:
            return 0
        if self.signal == signal.SIGTERM and not self.failed:
            return 1
        ranks = sorted(self.failed) or [self.place.first]
        for rank in ranks:
            log = self.logs / f"worker_{rank}.log"
            how = self.failed.get(rank, "or another one failed; see all logs beside this one")
            print(f"error: worker {rank} {how}; its log: {log}", file=sys.stderr)
            if rank != self.place.first:
                for line in last_words(log):
                    print(f"  {line}", file=sys.stderr)
        return 2 if set(self.failed.values()) == {"ended with status 2"} else 1


def how_it_ended(worker: psutil.Process) -> str | None:
    """How a worker ended, in words; None while it runs or if it ended well.

    msrun is its parent and looks once a second; until then the kernel keeps the status of the ended process.
    """
    try:
        fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None  # msrun was faster; the other workers' logs must do
    state, status = fields[0], int(fields[-1])
    if state not in ("Z", "X") or status == 0:
        return None
    if status & 0x7F:
        return f"was killed by {signal.Signals(status & 0x7F).name}"
    return f"ended with status {status >> 8}"


def last_words(log: Path, count: int = 8) -> list[str]:
    """The last meaningful lines of a worker's log."""
    if not log.is_file():
        return []
    lines = [line for line in log.read_text(errors="replace").splitlines() if not NOISE.match(line)]
    errors = [index for index, line in enumerate(lines) if line.startswith("error:")]
    return lines[errors[-1] :][:count] if errors else lines[-count:]
