"""Ctrl-C and SIGTERM request a stop between two steps instead of ending the process in the middle of one."""

import signal

from tqdm import tqdm


class Interrupt:
    """Turns the first signal into a request; a second Ctrl-C stops at once, without saving.

    Attributes:
        signal: the signal received, or None.
    """

    def __enter__(self) -> "Interrupt":
        self.signal: signal.Signals | None = None
        self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _ask(self, number: int, _) -> None:
        self.signal = signal.Signals(number)
        signal.signal(signal.SIGINT, self.before[signal.SIGINT])
        what = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        again = " (again to stop without saving)" if number == signal.SIGINT else ""
        tqdm.write(f"{what}: finishing this step, then saving{again}")

    def __exit__(self, *_) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
