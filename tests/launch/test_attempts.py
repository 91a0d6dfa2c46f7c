"""One attempt at a job, whatever the moment of its end, and what a signal asks for."""

import signal

import pytest

from src.launch.attempts import Asked, attempt
from src.launch.hosts import Hosts
from src.launch.job import Limits, Trouble


class EndsBetweenTwoLooks:
    """A job whose msrun ends after it was first asked; only then the reason is known."""

    def __init__(self, reason):
        self.reason, self.times, self.failed, self.workers = reason, 0, {}, self

    def over(self):
        self.times += 1
        return self.times > 1

    def trouble(self):
        return Trouble(self.reason) if self.reason and self.times > 1 else None

    def step(self):
        return 3

    def look(self):
        pass

    explain = look

    def stop(self, patience):
        return []


@pytest.mark.parametrize(("reason", "status"), [("worker 0 ended with status 1", 1), (None, 0)])
def test_end_between_two_looks_is_seen(reason, status):
    limits = Limits()
    end = attempt(EndsBetweenTwoLooks(reason), Hosts(0, {}, limits), Asked(), limits)
    assert (end.status, end.reason) == (status, reason or "")


def test_only_a_second_signal_to_the_same_launcher_stops_at_once():
    asked = Asked()
    asked.take(signal.SIGTERM)
    asked(signal.SIGINT, None)
    assert (asked.number, asked.again, asked.status) == (signal.SIGTERM, False, 1)
    asked(signal.SIGINT, None)
    assert asked.again
