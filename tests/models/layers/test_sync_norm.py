"""Synchronized batch norm with one worker is batch norm; with two see tests/launch/test_two_workers.py."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.models.backbones import build_backbone
from src.models.layers.norm import BatchNorm
from src.models.layers.sync_norm import SyncBatchNorm, synchronize

SHAPE = (3, 5, 7, 9)


def random(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


class Weighted(nn.Cell):
    def __init__(self, norm):
        super().__init__()
        self.norm = norm
        self.weights = random(*SHAPE, seed=1)

    def construct(self, x):
        return (self.norm(x) * self.weights).sum()


def pair():
    """A batch norm and the synchronized form of another one of the same values."""
    norms = []
    for _ in range(2):
        norm = BatchNorm(5, 1e-5, 0.9)
        norm.gamma.set_data(random(5, seed=2))
        norm.beta.set_data(random(5, seed=3))
        norms.append(norm)
    return norms[0].set_train(), SyncBatchNorm(norms[1]).set_train()


def test_equals_batch_norm(mode):
    plain, synced = pair()
    x = random(*SHAPE) * 3 + 20  # a large mean, where a difference of squares would lose digits
    np.testing.assert_allclose(synced(x).asnumpy(), plain(x).asnumpy(), atol=2e-5)
    for name in ("moving_mean", "moving_variance"):
        np.testing.assert_allclose(getattr(synced, name).asnumpy(), getattr(plain, name).asnumpy(), rtol=1e-5)
    found, expected = (
        ms.grad(Weighted(norm), 0, [norm.gamma, norm.beta])(x) for norm in (synced, plain)
    )  # fmt: skip
    np.testing.assert_allclose(found[0].asnumpy(), expected[0].asnumpy(), atol=1e-5)
    for one, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(one.asnumpy(), other.asnumpy(), rtol=1e-4, atol=1e-4)
    for norm in (plain, synced):
        norm.set_train(False)
    np.testing.assert_allclose(synced(x).asnumpy(), plain(x).asnumpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_synchronize_keeps_parameters_and_values(name):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    network, image = build_backbone(name).set_train(False), random(1, 3, 64, 64)
    before = [(parameter.name, id(parameter)) for parameter in network.get_parameters()]
    expected = network(image)[3].asnumpy()
    synchronize(network)
    kinds = {type(cell) for _, cell in network.cells_and_names() if isinstance(cell, nn.BatchNorm2d)}
    assert kinds == {SyncBatchNorm}
    assert {(parameter.name, id(parameter)) for parameter in network.get_parameters()} == set(before)
    np.testing.assert_array_equal(network.set_train(False)(image)[3].asnumpy(), expected)


def test_frozen_statistics_stay_frozen():
    network = build_backbone("resnet18", norm_eval=True)
    synchronize(network)
    norms = [cell for _, cell in network.cells_and_names() if isinstance(cell, SyncBatchNorm)]
    assert norms and all(norm.use_batch_statistics is False for norm in norms)
