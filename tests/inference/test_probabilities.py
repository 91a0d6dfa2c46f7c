"""Probabilities of the classes by a protocol, with runners whose right answer is known."""

import numpy as np
import pytest

from src.inference.protocol import predict, probabilities
from src.schema.training import EvalConfig

WEIGHTS = np.random.default_rng(3).standard_normal((5, 3)).astype(np.float32)
IMAGE = np.random.default_rng(0).standard_normal((1, 3, 50, 71)).astype(np.float32)


def pointwise(image):
    """Logits that depend on the pixel alone: windows and flips must not change them."""
    return np.einsum("kc,bchw->bkhw", WEIGHTS, image)


@pytest.mark.parametrize(
    "config",
    [EvalConfig(), EvalConfig(flip=True), EvalConfig(mode="slide", crop=[24, 32], stride=[16, 20], flip=True)],
    ids=["plain", "flip", "slide and flip"],
)
def test_softmax_of_the_logits_whatever_the_views(config):
    exponentials = np.exp(pointwise(IMAGE)[0])
    found = probabilities(pointwise, IMAGE, config, (50, 71))
    np.testing.assert_allclose(found, exponentials / exponentials.sum(0), rtol=1e-4)
    np.testing.assert_array_equal(found.argmax(0), predict(pointwise, IMAGE, config, (50, 71)))


def test_views_are_averaged():
    def runner(view):  # certain of class 0 at full size, undecided at half size
        logit = 50.0 if view.shape[2] == 50 else 0.0
        pair = np.array([logit, 0], np.float32).reshape(1, 2, 1, 1)
        return np.broadcast_to(pair, (1, 2, *view.shape[2:])).copy()

    found = probabilities(runner, IMAGE, EvalConfig(scales=[0.5, 1.0]), (100, 142))
    assert found.shape == (2, 100, 142) and found.dtype == np.float32
    np.testing.assert_allclose(found[0], 0.75, rtol=1e-5)
    np.testing.assert_allclose(found.sum(0), 1, rtol=1e-5)
