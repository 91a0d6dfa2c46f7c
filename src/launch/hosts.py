"""What the launchers tell each other while a job runs: once a second that they are there, and why it ends.

All of them talk to the first host's, which passes on what one of them has seen.
"""

import math
import signal
import time
from dataclasses import dataclass

from src.launch.job import Limits, Trouble
from src.launch.wire import Message, Wire, leave

PERIOD = 1.0  # seconds between two signs of life


@dataclass(frozen=True)
class Wish:
    """Ctrl-C or SIGTERM at another host."""

    where: str
    signal: signal.Signals


class Hosts:
    """The other launchers; with one host there are none.

    Args:
        own: number of this host.
        wires: see `src.launch.meeting.Meeting.meet`.

    Attributes:
        wish: what a user wants at another host, or None.
        seen: why the others say the job cannot go on, or None.
    """

    def __init__(self, own: int, wires: dict[int, Wire], limits: Limits):
        self.own, self.wires, self.limits = own, wires, limits
        self.steps: dict[int, int | None] = dict.fromkeys(wires)
        self.stalled: dict[int, float] = dict.fromkeys(wires, 0.0)
        self.done: set[int] = set()  # hosts whose workers have all ended well
        self.all_done = not wires
        self.seen: Trouble | None = None
        self.wish: Wish | None = None
        self.asked = False
        self.spoken = 0.0

    def turn(self, step: int | None, done: bool = False, stalled: float = 0.0) -> Trouble | None:
        """Hear the others and be heard; return why the job cannot go on, if they know a reason.

        Args:
            step: where the workers of this host stand.
            done: whether they have all ended well.
            stalled: seconds since any of them made progress.
        """
        for host, wire in self.wires.items():
            for message in wire.receive():
                self._hear(host, message)
            if self.seen is None and not self.all_done:
                self._judge(host, wire)
        if self.own == 0 and self.seen is None and not done:
            self._judge_progress(step, min(stalled, *self.stalled.values(), math.inf))
        if self.own == 0 and done and self.done == self.wires.keys():
            self.all_done = True
        if self.wires and time.monotonic() - self.spoken > PERIOD or self.all_done:
            self.spoken = time.monotonic()
            self._say({"step": step, "done": done, "all done": self.all_done, "stalled": stalled})
        return self.seen

    def ask(self, number: int) -> None:
        """Tell the others, once, of the signal that asks for the job's end."""
        if not self.asked:
            self.asked = True
            self._say({"signal": number, "where": self.wish.where if self.wish else f"host {self.own}"})

    def report(self, trouble: Trouble) -> None:
        """Tell the others why this host ends the job, or at the first host why any does."""
        reason = trouble.reason if self.own or trouble is self.seen else f"host 0: {trouble.reason}"
        self._say({"trouble": reason, "status": trouble.status, "asked": trouble.asked})

    def leave(self) -> None:
        """Close the connections, when what was said has had its time to arrive."""
        leave(self.wires.values(), 0.0 if self.own else 2.0, "left")  # the others close first

    def _say(self, message: Message) -> None:
        for wire in self.wires.values():
            if wire.closed is None:
                wire.send(message)

    def _hear(self, host: int, message: Message) -> None:
        if "trouble" in message and self.seen is None:
            words = str(message["trouble"])
            reason = f"host {host} ({self.wires[host].who}): {words}" if self.own == 0 else words
            self.seen = Trouble(reason, 2 if message.get("status") == 2 else 1, bool(message.get("asked")))
        if self.wish is None and message.get("signal") in (signal.SIGINT, signal.SIGTERM):
            where = f"host {host} ({self.wires[host].who})" if self.own == 0 else str(message.get("where"))
            self.wish = Wish(where, signal.Signals(message["signal"]))
        if isinstance(message.get("step"), int):
            self.steps[host] = message["step"]
        if isinstance(message.get("stalled"), float):
            self.stalled[host] = message["stalled"]
        if message.get("done"):
            self.done.add(host)
        if message.get("all done"):
            self.all_done = True

    def _judge(self, host: int, wire: Wire) -> None:
        place = f"at step {self.steps[host]}" if self.steps[host] else "before its first step"
        name = f"host {host} ({wire.who})"
        if wire.closed:
            self.seen = Trouble(f"the launcher of {name} {wire.closed}; last heard {place}")
        elif wire.silence() > self.limits.silence:
            self.seen = Trouble(f"{name} has been silent for {wire.silence():.0f} s; last heard {place}")

    def _judge_progress(self, step: int | None, seconds: float) -> None:
        """All launchers may hear all others while the workers of two hosts wait for each other in vain."""
        if seconds > self.limits.stall:
            self.seen = Trouble(
                f"no worker of any host has made progress for {seconds:.0f} s; last heard at step {step}"
            )
