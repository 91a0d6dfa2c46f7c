"""Ends a job's processes when its launcher has gone or fallen silent without a word, for example by ``kill -9``.

``python -m src.launch.guardian JOB SECONDS`` reads its standard input, which only the launcher writes to. At the end of
the input, or after so many seconds without a byte, it asks the workers to end and kills what is left of the job.
"""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from src.heartbeat import JOB
from src.launch.processes import ask_workers, kill_marked


class Guardian:
    """The guardian of a job, seen from the launcher."""

    def __init__(self, job: str, limit: float):
        environment = {key: value for key, value in os.environ.items() if key != JOB}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "src.launch.guardian", job, str(limit)], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=Path(__file__).parents[2],
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdin is not None  # it is a pipe
        self.pipe = self.process.stdin
        os.set_blocking(self.pipe.fileno(), False)
        self.spoken = 0.0

    def beat(self) -> None:
        """Tell it once a second that the launcher is there."""
        if time.monotonic() - self.spoken > 1:
            self.spoken = time.monotonic()
            with suppress(OSError):
                os.write(self.pipe.fileno(), b".")

    def close(self) -> None:
        """Let it go, when nothing is left of the job."""
        with suppress(OSError):
            self.pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()


def main(job: str, limit: float) -> None:
    """Wait for the launcher's end or silence; then end its job."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    source = sys.stdin.fileno()
    silent = 0
    while silent < limit:  # in turns of a second: while the whole machine sleeps it does not count
        if not select.select([source], [], [], 1.0)[0]:
            silent += 1
        elif os.read(source, 1024):
            silent = 0
        else:
            break
    ask_workers(job)
    kill_marked(job)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
