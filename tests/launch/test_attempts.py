"""One attempt at a job, whatever the moment of its end, and what a signal asks for."""

import signal
import socket
import time

import pytest

from src.launch.attempts import Asked, attempt, run
from src.launch.hosts import Hosts
from src.launch.job import Limits, Trouble
from src.launch.wire import Wire


class EndsBetweenTwoLooks:
    """A job whose msrun ends after it was first asked; only then the reason is known."""

    def __init__(self, reason, status=1):
        self.reason, self.status, self.times, self.failed, self.workers = reason, status, 0, {}, self

    def over(self):
        self.times += 1
        return self.times > 1

    def trouble(self):
        return Trouble(self.reason, self.status) if self.reason and self.times > 1 else None

    def step(self):
        return 3

    def stalled(self):
        return 0.0

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


@pytest.mark.parametrize(
    ("status", "attempts", "words"),
    [(1, 2, "gave up after 2 attempts: worker 0 ended with status 1"), (2, 1, "worker 0 ended with status 1")],
)
def test_failures_are_tried_again_and_mistakes_are_not(capsys, status, attempts, words):
    jobs = []

    def start(number):
        jobs.append(number)
        return EndsBetweenTwoLooks("worker 0 ended with status 1", status)

    assert run(start, None, Asked(), Limits(), 1, 0.01) == status
    assert jobs == list(range(attempts))
    printed = capsys.readouterr()
    assert words in printed.err
    assert ("again in 0 s" in printed.out) == (attempts > 1)


@pytest.fixture
def three():
    """Three hosts that are connected as launchers are: 1 and 2 with 0."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = [Wire(socket.create_connection(server.getsockname()), "10.0.0.0") for _ in (1, 2)]
        here = {host: Wire(server.accept()[0], f"10.0.0.{host}") for host in (1, 2)}
    yield (
        Hosts(0, here, Limits()),
        *(Hosts(host, {0: wire}, Limits()) for host, wire in zip((1, 2), there, strict=True)),
    )
    for wire in (*there, *here.values()):
        wire.end("over")


def hear(host, what):
    """What a host knows, as soon as it knows."""
    deadline = time.monotonic() + 60
    while getattr(host, what) is None and time.monotonic() < deadline:
        host.turn(3)
    return getattr(host, what)


@pytest.mark.parametrize("status", [1, 2])
def test_trouble_of_one_host_is_everybodys(three, status):
    first, second, third = three
    second.report(Trouble("worker 1 ended", status))
    first.report(hear(first, "seen"))
    for seen in (first.seen, hear(third, "seen")):
        assert (seen.reason, seen.status) == ("host 1 (10.0.0.1): worker 1 ended", status)


@pytest.mark.parametrize(("stalled", "words"), [((400.0, 350.0), "no worker of any host"), ((400.0, 20.0), None)])
def test_job_of_which_no_host_makes_progress_is_given_up(three, stalled, words):
    first, *others = three
    deadline = time.monotonic() + 60
    while set(first.stalled.values()) != set(stalled) and time.monotonic() < deadline:
        for host, seconds in zip(others, stalled, strict=True):
            host.turn(3, stalled=seconds)
        assert first.turn(3) is None  # this host's workers go on
    found = first.turn(3, stalled=320.0)
    assert (found.reason if found else None) == (
        "no worker of any host has made progress for 320 s; last heard at step 3" if words else None
    )


def test_signal_to_one_host_is_everybodys(three):
    first, second, third = three
    second.ask(signal.SIGINT)
    first.ask(hear(first, "wish").signal)
    for wish in (first.wish, hear(third, "wish")):
        assert (wish.where, wish.signal) == ("host 1 (10.0.0.1)", signal.SIGINT)
