"""Workers that would go on from different places refuse to start."""

import numpy as np
import pytest

from src.errors import UserError
from src.training import same_start
from src.training.run_folder import RunFolder

SUM = "0123456789abcdef" * 4


@pytest.fixture
def others(monkeypatch):
    """A function that gives what the other workers send; the first worker is this one."""

    def give(*rows):
        monkeypatch.setattr(same_start, "gather_counts", lambda own: np.stack([own, *(own + row for row in rows)]))

    return give


def test_the_same_everywhere(others):
    others(0, 0)
    same_start.check_same_start(40, SUM, RunFolder("run"))


def test_another_step(others):
    others(0, np.array([-40, 0, 0, 0, 0, 5]))
    with pytest.raises(UserError, match="worker 0 at step 40, worker 2 at step 0; put run on a disk that all hosts"):
        same_start.check_same_start(40, SUM, RunFolder("run"))


@pytest.mark.parametrize("place", range(1, 6))
def test_other_weights_are_found_wherever_the_checksum_differs(others, place):
    row = np.zeros(6, np.int64)
    row[place] = 1
    others(row)
    with pytest.raises(UserError, match="begin at step 0 with different weights"):
        same_start.check_same_start(0, SUM, RunFolder("run"))


def test_every_digit_of_the_checksum_travels(monkeypatch):
    sent = []
    monkeypatch.setattr(same_start, "gather_counts", lambda own: sent.append(own) or own[None])
    same_start.check_same_start(7, SUM, RunFolder("run"))
    assert sent[0][0] == 7
    assert "".join(f"{piece:013x}" for piece in sent[0][1:-1]) + f"{sent[0][-1]:012x}" == SUM
    assert sent[0].max() < 2**60
