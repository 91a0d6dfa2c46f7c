"""The depthwise convolution against MindSpore's own, values and gradients."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.models.layers.depthwise import Depthwise


class Weighted(nn.Cell):
    def __init__(self, cell, weights):
        super().__init__()
        self.cell, self.weights = cell, Tensor(weights)

    def construct(self, x):
        return (self.cell(x) * self.weights).sum()


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (3, 4, 2, 1), (1, 2, 1, 6), (2, 1, 8, 8)])
def test_equals_the_standard(mode, shape):
    generator = np.random.default_rng(0)
    x, weights = generator.standard_normal((2, *shape)).astype(np.float32)
    fast = Depthwise(shape[1])
    standard = nn.Conv2d(shape[1], shape[1], 3, pad_mode="pad", padding=1, group=shape[1], has_bias=True)
    for ours, theirs in zip(fast.get_parameters(), standard.get_parameters(), strict=True):
        ours.set_data(Tensor(generator.standard_normal(ours.shape).astype(np.float32)))
        theirs.set_data(ours.clone())
    results = []
    for cell in (fast, standard):
        dx, dparameters = ms.grad(Weighted(cell, weights), 0, cell.trainable_params())(Tensor(x))
        results.append([cell(Tensor(x)), dx, *dparameters])
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours.asnumpy(), theirs.asnumpy(), atol=1e-5)
