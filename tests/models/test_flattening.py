"""A flattened level is its mean, the others stay."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.models.flattening import FlattenedLevels
from tests.models.decoders.base import TinyBackbone


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_one_level_is_its_mean(mode):
    ms.set_context(mode=mode)
    backbone = TinyBackbone().set_train(False)
    image = Tensor(np.random.default_rng(0).standard_normal((2, 3, 64, 96)), ms.float32)
    plain = [one.asnumpy() for one in backbone(image)]
    levels = FlattenedLevels(backbone).set_train(False)
    for flattened in (None, 0, 2, 3, None):
        levels.flatten(flattened)
        for level, (found, own) in enumerate(zip(levels(image), plain, strict=True)):
            expected = np.broadcast_to(own.mean((2, 3), keepdims=True), own.shape) if level == flattened else own
            np.testing.assert_allclose(found.asnumpy(), expected, atol=1e-5)
