"""Signals become a request, and the handlers of before come back."""

import signal
import threading

import pytest

from src import signals
from src.training.interrupt import Interrupt


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch):
    monkeypatch.setattr(signals, "in_foreground", lambda: False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_noted(number, capsys):
    before = signal.getsignal(number)
    with Interrupt() as interrupt:
        assert interrupt.signal is None
        signal.raise_signal(number)  # to this thread: noted before the next line
        assert interrupt.signal == number
    assert signal.getsignal(number) is before
    assert "finishing this step, then saving" in capsys.readouterr().out


def test_sigterm_in_the_foreground_is_a_ctrl_c(monkeypatch, capsys):
    """MindSpore passes on a Ctrl-C like this while a graph runs."""
    monkeypatch.setattr(signals, "in_foreground", lambda: True)
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.signal == signal.SIGINT
        signal.raise_signal(signal.SIGTERM)
    assert "Ctrl-C: finishing this step" in capsys.readouterr().out


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_second_ctrl_c_stops_at_once(first):
    with pytest.raises(KeyboardInterrupt), Interrupt():
        signal.raise_signal(first)
        signal.raise_signal(signal.SIGINT)


def test_second_sigterm_changes_nothing():
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert interrupt.signal == signal.SIGTERM


def test_another_thread_sets_no_handlers():
    found = []

    def work():
        with Interrupt() as interrupt, signals.interruptible():
            found.append((interrupt.signal, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(None, signal.getsignal(signal.SIGTERM))]
