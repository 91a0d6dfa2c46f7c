"""The workers' logs: the first worker's on the console, and the last words of one that failed."""

import re
from pathlib import Path

from src.launch.cluster import Cluster

NOISE = re.compile(r"^\[(WARNING|INFO)\]|^$")  # of MindSpore's own log
NOTICED = re.compile(r"Worker process (\d+) exit with exception\. Error code: (-?\d+)")  # in msrun's log


class Logs:
    """The folder of the logs; several machines may share it, so each touches its own files alone."""

    def __init__(self, folder: Path, place: Cluster):
        self.folder, self.place = folder, place
        self.shown = 0  # bytes of the first worker's log
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
                print(line, flush=True)

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
