"""Work that one thread does for others.

MindSpore keeps its settings per thread and computes one network at a time; the server stays free to answer meanwhile.
"""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any


class Jobs:
    """Calls that wait for the thread in `run`, first come, first served."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Future, Callable[[], Any]] | None] = SimpleQueue()

    def submit(self, job: Callable[[], Any]) -> Future:
        """Have ``job`` called; the future gets its result or exception. Cancelled before its turn, it is not called."""
        future: Future = Future()
        self._waiting.put((future, job))
        return future

    def run(self) -> None:
        """Call the jobs in this thread until `stop`."""
        while (entry := self._waiting.get()) is not None:
            future, job = entry
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except Exception as error:  # belongs to whoever waits for the result
                    future.set_exception(error)

    def stop(self) -> None:
        """End `run` after the jobs that wait already."""
        self._waiting.put(None)
