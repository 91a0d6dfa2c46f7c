"""Ctrl-C and SIGTERM request a stop between two steps instead of ending the process in the middle of one."""

import signal

from tqdm import tqdm

from src.signals import in_main_thread, meant


class Interrupt:
    """Turns the first signal into a request; a second Ctrl-C stops at once, without saving.

    Outside the main thread signals cannot be had: there nothing is requested.

    Attributes:
        signal: the signal received, or None.
    """

    def __enter__(self) -> "Interrupt":
        self.signal: signal.Signals | None = None
        numbers = (signal.SIGINT, signal.SIGTERM) if in_main_thread() else ()
        self.before = {number: signal.signal(number, self._ask) for number in numbers}
        return self

    def _ask(self, number: int, _: object) -> None:
        found = meant(number)
        if found == signal.SIGINT and self.signal:
            raise KeyboardInterrupt
        self.signal = found
        what = "Ctrl-C" if found == signal.SIGINT else "SIGTERM"
        again = " (again to stop without saving)" if found == signal.SIGINT else ""
        tqdm.write(f"{what}: finishing this step, then saving{again}")

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
