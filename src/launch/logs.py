"""The workers' logs: the first worker's on the console, and the last words of one that failed."""

import os
import queue
import re
import sys
import threading
import time
from pathlib import Path

from src.launch.cluster import Cluster

NOISE = re.compile(r"^\[(WARNING|INFO)\]|^$")  # of MindSpore's own log
NOTICED = re.compile(r"Worker process (\d+) exit with exception\. Error code: (-?\d+)")  # in msrun's log


class Console:
    """Prints in a thread: a terminal that is stopped with Ctrl-S must not stop the launcher's heart."""

    def __init__(self):
        self.lines: queue.Queue[str] = queue.Queue(10_000)
        threading.Thread(target=self._print, daemon=True).start()

    def show(self, line: str) -> None:
        """Print a line, or leave it out if ten thousand are waiting."""
        if not self.lines.full():
            self.lines.put(line)

    def close(self, seconds: float = 2.0) -> None:
        """Wait until all is printed, but not for long."""
        deadline = time.monotonic() + seconds
        while self.lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def _print(self) -> None:
        while True:
            data = (self.lines.get() + "\n").encode()
            try:
                while data:
                    data = data[os.write(1, data) :]
            except OSError:
                pass  # nobody reads any more; the logs have it all
            self.lines.task_done()


class Logs:
    """The folder of the logs; several machines may share it, so each touches its own files alone."""

    def __init__(self, folder: Path, place: Cluster):
        self.folder, self.place = folder, place
        self.shown = 0  # bytes of the first worker's log
        self.console = Console()
        sys.stdout.flush()  # what was printed before comes first
        folder.mkdir(parents=True, exist_ok=True)
        own = [self.worker(rank) for rank in place.ranks] + [self.msrun]
        for old in own + ([folder / "scheduler.log"] if place.node_rank == 0 else []):
            old.unlink(missing_ok=True)

    @property
    def msrun(self) -> Path:
        """Where msrun of this machine writes."""
        return self.folder / ("msrun.log" if self.place.node_rank == 0 else f"msrun_{self.place.node_rank}.log")

    def worker(self, rank: int) -> Path:
        """Where a worker writes."""
        return self.folder / f"worker_{rank}.log"

    def show(self) -> None:
        """Print what is new in the log of this machine's first worker."""
        path = self.worker(self.place.first)
        if not path.is_file():
            return
        with path.open("rb") as log:
            log.seek(self.shown)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self.shown += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if not NOISE.match(line):
                self.console.show(line)

    def close(self) -> None:
        """Show the rest."""
        self.show()
        self.console.close()

    def noticed(self) -> dict[int, int]:
        """Process id -> exit code of the workers that msrun found ended."""
        if not self.msrun.is_file():
            return {}
        found = NOTICED.findall(self.msrun.read_text(errors="replace"))
        return {int(pid): int(code) for pid, code in found}


def last_words(log: Path, count: int = 8) -> list[str]:
    """The last lines of a worker's log that say something."""
    if not log.is_file():
        return []
    lines = [line for line in log.read_text(errors="replace").splitlines() if not NOISE.match(line)]
    errors = [index for index, line in enumerate(lines) if line.startswith("error:")]
    return lines[errors[-1] :][:count] if errors else lines[-count:]
