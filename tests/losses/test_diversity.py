"""The diversity loss, and the maximum over channels of softmaxes over positions that it reads."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.losses.diversity import DiversityLoss
from src.models.layers.spatial_softmax import SpatialSoftmaxMax


def largest_share(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).max(1)


class Weighted(nn.Cell):
    def __init__(self, weights):
        super().__init__()
        self.cell, self.weights = SpatialSoftmaxMax(), Tensor(weights)

    def construct(self, x):
        return (self.cell(x) * self.weights).sum()


@pytest.mark.parametrize("channels", [1, 2, 5, 8])
def test_largest_share(mode, channels):
    generator = np.random.default_rng(channels)
    x = 2 * generator.standard_normal((2, channels, 7))
    np.testing.assert_allclose(SpatialSoftmaxMax()(Tensor(x.astype(np.float32))).asnumpy(), largest_share(x), rtol=1e-5)
    weights = generator.standard_normal((2, 7)).astype(np.float32)
    gradient = ms.grad(Weighted(weights))(Tensor(x.astype(np.float32))).asnumpy()
    for _ in range(4):
        direction = generator.standard_normal(x.shape)
        up, down = [(largest_share(x + step * direction) * weights).sum() for step in (1e-6, -1e-6)]
        np.testing.assert_allclose((gradient * direction).sum(), (up - down) / 2e-6, rtol=1e-3, atol=1e-5)


def test_ties_share_the_gradient():
    x, weights = np.zeros((1, 4, 3), np.float32), np.array([[1, 2, 4]], np.float32)
    gradient = ms.grad(Weighted(weights))(Tensor(x)).asnumpy()
    one = np.array([1, 2, 4]) / 3 / 4
    np.testing.assert_allclose(gradient[0], np.tile(one - one.mean(), (4, 1)), atol=1e-7)


def loss(levels, channels):
    return DiversityLoss(0, 1)((tuple(levels), Tensor(channels, ms.float32)), None)[0].asnumpy()


def test_values(mode):
    generator = np.random.default_rng(0)
    levels = [generator.random((3, 10)).astype(np.float32), generator.random((3, 4)).astype(np.float32)]
    expected = np.mean([1 - level.sum(1).mean() / c for level, c in zip(levels, (8, 16), strict=True)])
    np.testing.assert_allclose(loss([Tensor(level) for level in levels], (8, 16)), expected, rtol=1e-6)


def test_bounds():
    """Channels that peak at different places cost nothing; channels that are all alike cost 1 - 1 / c."""
    apart = Tensor(100 * np.eye(4, 9, dtype=np.float32)[None])
    alike = ops.ones((1, 4, 9), ms.float32)
    values = [loss([SpatialSoftmaxMax()(x)], (4,)) for x in (apart, alike)]
    np.testing.assert_allclose(values, [0, 0.75], atol=1e-6)


def test_no_levels(mode):
    assert loss([], (4,)) == 0
