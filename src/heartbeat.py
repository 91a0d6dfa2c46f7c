"""A worker's sign of life: a thread beside the work tells the launcher once a second where the work stands.

The launcher listens on a Unix socket whose name it puts into the environment. Without a launcher nothing is sent.
A long evaluation or a slow disk does not stop the thread; what stops the process does.
"""

import json
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

JOB = "SEGMENTATION_JOB"  # in the environment of all processes of a job: a name that no other job has
PERIOD = 1.0  # seconds between two beats

_state = {"step": 0, "ticks": 0, "busy": False, "finished": False}
_finished = threading.Event()
_threads: list[threading.Thread] = []  # one, once it beats


def address(job: str) -> str:
    """The launcher's socket: a name in Linux's abstract namespace, which leaves no file behind."""
    return f"\0segmentation-{job}"


def start() -> None:
    """Begin to beat if a launcher started this process as a worker; later calls do nothing."""
    if JOB not in os.environ or os.environ.get("MS_ROLE") != "MS_WORKER" or _threads:
        return
    where = (os.environ[JOB], int(os.environ["RANK_ID"]))
    _threads.append(threading.Thread(target=_beat, args=where, daemon=True))
    _threads[0].start()


def tick(step: int | None = None, busy: bool = False) -> None:
    """Note that the work has moved on.

    Args:
        step: updates done, if they are known.
        busy: this worker now evaluates or writes, which may take long without another tick.
    """
    _state["ticks"] += 1
    _state["busy"] = busy
    if step is not None:
        _state["step"] = step


def finish() -> None:
    """Note, with a last beat, that everything is done and written; what follows is MindSpore's own end."""
    _state["finished"] = True
    _finished.set()
    for thread in _threads:
        thread.join(PERIOD)


def ticking(function: Callable) -> Callable:
    """``function``, with a tick after every call."""

    def call(*arguments):
        result = function(*arguments)
        tick(busy=True)
        return result

    return call


def _beat(job: str, rank: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        last = False
        while True:
            with suppress(OSError):  # the launcher is busy or gone
                sender.sendto(json.dumps({"rank": rank, **_state}).encode(), address(job))
            if last:
                return
            last = _finished.wait(PERIOD)
