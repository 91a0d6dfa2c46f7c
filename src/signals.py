"""Ctrl-C and SIGTERM beside MindSpore.

While MindSpore compiles or runs a graph it takes Ctrl-C over and passes it on as SIGTERM to its own process. A process
in the foreground of a terminal therefore takes SIGTERM for the Ctrl-C that it most likely was.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def meant(number: int) -> signal.Signals:
    """The signal that was sent: SIGINT for a Ctrl-C, also one that MindSpore has passed on."""
    if number == signal.SIGTERM and in_foreground():
        return signal.SIGINT
    return signal.Signals(number)


def in_foreground() -> bool:
    """Whether the process has a terminal, and its Ctrl-C reaches it."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def in_main_thread() -> bool:
    """Whether this is the thread in which Python handles signals; no other may set handlers."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as Ctrl-C does, with the signal that was meant as its argument.

    For work that has something to finish; elsewhere SIGTERM ends a process at once. Does nothing outside the main
    thread.
    """

    def stop(number: int, _: object) -> None:
        raise KeyboardInterrupt(meant(number))

    if not in_main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
