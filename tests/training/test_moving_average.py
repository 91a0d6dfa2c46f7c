"""The moving average of the weights against its formula, and how it changes places with them."""

import numpy as np
from mindspore import Tensor

from src.training.moving_average import MovingAverage
from tests.training.test_train_step import batch, build, values  # noqa: F401  (batch is a fixture)

DECAY = 0.3


def test_follows_weights_and_statistics(mode, batch):  # noqa: F811
    network, step = build(average=lambda cell: MovingAverage(cell, DECAY))
    followed = [p.name for p in network.get_parameters()]
    assert {"norm.moving_mean", "norm.gamma", "backbone.weight"} <= set(followed)
    expected = {name: value.astype(np.float64) for name, value in values(network).items()}
    for update in range(4):
        step(*map(Tensor, batch), True)
        decay = min(DECAY, (1 + update) / (10 + update))
        for name, value in values(network).items():
            expected[name] = decay * expected[name] + (1 - decay) * value
    weights = values(network)
    step.average.exchange()
    for name, value in values(network).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6, err_msg=name)
        assert (value != weights[name]).any()
    step.average.exchange()
    for name, value in values(network).items():
        np.testing.assert_array_equal(value, weights[name], err_msg=name)


def test_a_step_that_is_not_finite_leaves_the_average(batch):  # noqa: F811
    network, step = build(protect_state=True, average=lambda cell: MovingAverage(cell, DECAY))
    image, label = batch
    step(Tensor(image), Tensor(label), True)
    before = [average.asnumpy().copy() for average in step.average.averages]
    assert step(Tensor(np.full_like(image, np.nan)), Tensor(label), True).asnumpy()[2] == 0
    for average, value in zip(step.average.averages, before, strict=True):
        np.testing.assert_array_equal(average.asnumpy(), value)
