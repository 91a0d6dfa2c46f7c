"""Every step of every schedule against the formula written out for that step."""

import math

import numpy as np
import pytest

from src.schema.training import ScheduleConfig
from src.training.schedule import learning_rates

LR, ITERATIONS, FLOOR, WARMUP, RATIO = 0.02, 200, 1e-4, 30, 1e-3


def formula(name: str, power: float, step: int) -> float:
    if name == "poly":
        value = FLOOR + (LR - FLOOR) * math.pow(1 - step / ITERATIONS, power)
    elif name == "cosine":
        value = FLOOR + 0.5 * (LR - FLOOR) * (1 + math.cos(math.pi * step / ITERATIONS))
    else:
        value = LR
    if step < WARMUP:
        value *= RATIO + (1 - RATIO) * step / WARMUP
    return value


@pytest.mark.parametrize(("name", "power"), [("poly", 0.9), ("poly", 1.0), ("cosine", 1.0), ("constant", 1.0)])
def test_every_step(name, power):
    config = ScheduleConfig(name=name, power=power, min_lr=FLOOR, warmup_iterations=WARMUP, warmup_ratio=RATIO)
    rates = learning_rates(config, LR, ITERATIONS)
    assert rates.shape == (ITERATIONS,)
    expected = [formula(name, power, step) for step in range(ITERATIONS)]
    np.testing.assert_allclose(rates, expected, rtol=2e-7)


def test_without_warmup_the_first_step_has_the_full_rate():
    assert learning_rates(ScheduleConfig(name="poly"), LR, 10)[0] == np.float32(LR)


def test_warmup_longer_than_training_stays_below_the_rate():
    rates = learning_rates(ScheduleConfig(name="constant", warmup_iterations=50), LR, 10)
    assert (np.diff(rates) > 0).all()
    assert rates[-1] < LR
