"""Commands in processes of their own, to which Ctrl-C and SIGTERM are passed on."""

import os
import signal
import subprocess
from collections import deque
from pathlib import Path

KEPT = 50  # last lines of a command's output in which its error is looked for


class Relay:
    """Runs commands one after the other; a signal goes to the one that runs, exactly once.

    Each command has a session of its own: Ctrl-C on a terminal would otherwise reach it a second time, which a training
    takes for the wish to stop without saving.

    Args:
        lock: file descriptor that the commands keep open, so that a lock on it lasts as long as they do.

    Attributes:
        signal: the last signal received, or None.
    """

    def __init__(self, lock: int):
        self.lock = lock
        self.signal: signal.Signals | None = None
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Relay":
        self.before = {number: signal.signal(number, self._pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _pass_on(self, number: int, _) -> None:
        self.signal = signal.Signals(number)
        if self.process:
            self.process.send_signal(number)

    def run(self, command: list[str], log: Path) -> tuple[int, str]:
        """Run a command, show its output and append it to ``log``; return its status and its error message."""
        lines: deque[str] = deque(maxlen=KEPT)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                env={**os.environ, "PYTHONUNBUFFERED": "1"}, start_new_session=True, pass_fds=(self.lock,),
            )  # fmt: skip
            if self.signal:  # it came while the process was being started
                self.process.send_signal(self.signal)
            assert self.process.stdout
            for line in self.process.stdout:
                print(line, end="", flush=True)
                file.write(line)
                file.flush()
                lines.append(line.strip())
            status = self.process.wait()
            self.process = None
        return status, _error(list(lines))


def _error(lines: list[str]) -> str:
    """The line in which a command says what is wrong; of a traceback the last one."""
    errors = [line for line in lines if line.startswith("error: ")]
    said = [line for line in lines if line]
    return (errors or said or ["no output"])[-1]
