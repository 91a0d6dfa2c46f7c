"""Attempts at a job: one to its end, and further ones after a failure if the user allows them."""

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from src.launch import clock
from src.launch.hosts import Hosts
from src.launch.job import Job, Limits, Trouble
from src.launch.meeting import Meeting, NeverCame
from src.launch.processes import GRACE
from src.launch.wire import Wire

POLL = 0.1  # seconds
LONGEST = 300.0  # seconds between two attempts
ASKED_GRACE = 5.0  # seconds between asking processes to end and killing them, where a user waits for the end
ASKED_ENDS = {"ended with status 130", "was killed by SIGINT", "was killed by SIGTERM"}


class Asked:
    """What Ctrl-C and SIGTERM have asked for, here or at another host; a second signal asks for the end at once.

    Attributes:
        number: of the signal, or None.
        here: whether it came to this launcher.
    """

    def __init__(self):
        self.number: int | None = None
        self.at = 0.0
        self.here = self.again = False

    def __call__(self, number: int, _) -> None:
        """The signals' handler."""
        self.again, self.here = self.here, True  # that of another host is not this user's first
        self.take(number)

    def take(self, number: int) -> None:
        """Note a signal, unless another came before."""
        if self.number is None:
            self.number, self.at = number, clock.now()

    def __bool__(self) -> bool:
        return self.number is not None

    @property
    def status(self) -> int:
        """Exit status of a launcher that was stopped before it had done its work."""
        return 130 if self.number == signal.SIGINT else 1


@dataclass(frozen=True)
class End:
    """How an attempt ended."""

    status: int
    reason: str = ""
    again: bool = False  # another attempt may do better


def attempt(job: Job, hosts: Hosts, asked: Asked, limits: Limits) -> End:
    """Watch one attempt to its end; nothing of it is left afterwards."""
    trouble: Trouble | None = None
    try:
        while trouble is None:
            job.look()
            if asked.number is None and hosts.wish:
                print(f"{hosts.wish.where} was asked to stop ({hosts.wish.signal.name})", flush=True)
                asked.take(hosts.wish.signal)
            if asked.number is not None:
                job.ask(asked.number)
                hosts.ask(asked.number)
            over = job.over()  # asked before `trouble`, which then knows how it ended
            own = None if _as_asked(job, asked) else job.trouble()
            trouble = own or hosts.turn(job.workers.step(), over, job.workers.stalled()) or _hung(job, asked, limits)
            if trouble:
                hosts.report(trouble)
            elif over and hosts.all_done:
                break
            else:
                time.sleep(POLL)
    finally:
        left = job.stop(_patience(trouble, asked))
        hosts.leave()
    if left:
        print(f"error: still running: {', '.join(str(process.pid) for process in left)}", file=sys.stderr)
    if trouble:
        job.explain()
        if trouble is hosts.seen or not job.failed:
            print(f"error: {trouble.reason}", file=sys.stderr)
        final = asked or trouble.asked or trouble.status == 2
        return End(asked.status if asked else trouble.status, trouble.reason, not final)
    if asked.number == signal.SIGINT or asked and hosts.wires:
        return End(asked.status)  # no host may take a job that was stopped for one that is done
    return End(1 if job.failed else 0)


def _patience(trouble: Trouble | None, asked: Asked) -> float:
    """Seconds that workers have to end by themselves: none if they are done, or were asked and hang."""
    if trouble is None or (trouble.asked and asked):
        return 0.0
    return ASKED_GRACE if trouble.asked or asked else GRACE


def _as_asked(job: Job, asked: Asked) -> bool:
    """Whether a worker has ended because it was asked to, and the others perhaps with it."""
    return bool(asked) and not ASKED_ENDS.isdisjoint(job.failed.values())


def _hung(job: Job, asked: Asked, limits: Limits) -> Trouble | None:
    """Whether a job that was asked to end will not do so by itself."""
    if asked.number is None or job.over() or job.finished is not None:
        return None
    name = signal.Signals(asked.number).name
    if asked.again:
        return Trouble(f"stopped by a second signal after {name}, without saving", asked=True)
    if clock.now() - max(asked.at, job.workers.moved()) > limits.grace:
        return Trouble(f"no progress for {limits.grace:.0f} s after {name}; stopped without saving", asked=True)
    return None


def _rest(seconds: float, asked: Asked) -> dict[int, Wire]:
    """The pause of a launcher that has none to meet; there are no connections afterwards."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not asked:
        time.sleep(POLL)
    if asked:
        raise KeyboardInterrupt
    return {}


def run(
    start: Callable[[int], Job], meeting: Meeting | None, asked: Asked, limits: Limits, restarts: int, backoff: float
) -> int:
    """Try up to ``restarts + 1`` times; return the exit status.

    Args:
        start: begins an attempt, given its number from 0.
        meeting: with the other hosts; None if there are none.
        backoff: seconds before the second attempt; doubles with each.

    Raises:
        KeyboardInterrupt: the user asked for an end between two attempts.
    """
    pause = 0.0
    for number in range(restarts + 1):
        try:
            wires = meeting.meet(pause) if meeting else _rest(pause, asked)
        except NeverCame as error:
            print(f"error: {error}", file=sys.stderr)
            return asked.status if asked else 1
        own = meeting.place.node_rank if meeting else 0
        end = attempt(start(number), Hosts(own, wires, limits), asked, limits)
        if not end.again:
            return end.status
        if number == restarts:
            break
        pause = min(backoff * 2**number, LONGEST)
        print(f"attempt {number + 1} of {restarts + 1} failed: {end.reason}; again in {pause:.0f} s", flush=True)
    if restarts:
        print(f"error: gave up after {restarts + 1} attempts: {end.reason}", file=sys.stderr)
    return end.status
