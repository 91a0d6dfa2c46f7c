"""Cross entropy against ``ops.cross_entropy``, against NumPy, and in the corners."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.losses.cross_entropy import CrossEntropy
from tests.losses import reference


class Standard(nn.Cell):
    def __init__(self, class_weights=None):
        super().__init__()
        self.class_weights = None if class_weights is None else Tensor(class_weights, ms.float32)

    def construct(self, logits, label):
        return ops.cross_entropy(logits, label, self.class_weights, ignore_index=255)


def case(classes, size=(13, 17), batch=2, ignored=0.2, scale=3.0, seed=0):
    """Logits and labels as arrays, a share of the pixels ignored."""
    generator = np.random.default_rng(seed)
    logits = (scale * generator.standard_normal((batch, classes, *size))).astype(np.float32)
    label = generator.integers(0, classes, (batch, *size)).astype(np.int32)
    label[generator.random(label.shape) < ignored] = 255
    return logits, label


def value_and_gradient(loss, logits, label):
    value, gradient = ms.value_and_grad(loss, 0)(Tensor(logits), Tensor(label))
    return float(value.asnumpy()), gradient.asnumpy()


def check(loss, logits, label, expected):
    value, gradient = value_and_gradient(loss, logits, label)
    assert value == pytest.approx(expected[0], abs=1e-5 * max(1, abs(expected[0])))
    np.testing.assert_allclose(gradient, expected[1], rtol=0, atol=1e-5 * np.abs(expected[1]).max())


@pytest.mark.parametrize("classes", [2, 11, 171])
def test_equals_the_standard_operator(mode, classes):
    logits, label = case(classes)
    check(CrossEntropy(), logits, label, value_and_gradient(Standard(), logits, label))
    check(CrossEntropy(), logits, label, reference.cross_entropy(logits, label))


@pytest.mark.parametrize("scale", [0.01, 30.0, 1000.0])
def test_scale_of_the_logits(scale):
    logits, label = case(5, scale=scale)
    check(CrossEntropy(), logits, label, reference.cross_entropy(logits, label))


def test_class_weights_as_in_the_standard_operator(mode):
    weights = [0.5, 0.0, 2.0, 1.0]
    logits, label = case(4)
    check(CrossEntropy(255, weights), logits, label, value_and_gradient(Standard(weights), logits, label))
    check(CrossEntropy(255, weights), logits, label, reference.cross_entropy(logits, label, weights))


@pytest.mark.parametrize("min_kept", [0, 1, 40, 10_000])
@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.7])
def test_hard_example_mining(threshold, min_kept):
    logits, label = case(6)
    loss = CrossEntropy(255, None, threshold, min_kept)
    check(loss, logits, label, reference.cross_entropy(logits, label, ohem=(threshold, min_kept)))


def test_mining_with_class_weights(mode):
    weights = [0.5, 1.0, 2.0]
    logits, label = case(3)
    loss = CrossEntropy(255, weights, 0.3, 60)
    check(loss, logits, label, reference.cross_entropy(logits, label, weights, (0.3, 60)))


def test_mining_keeps_at_least_the_hardest_pixels_that_count():
    logits, label = case(3, ignored=0.9)
    kept = reference.weights(logits, label, ohem=(0.0, 20))[0]
    assert kept.sum() == 20
    gradient = value_and_gradient(CrossEntropy(255, None, 0.0, 20), logits, label)[1]
    np.testing.assert_array_equal(np.abs(gradient).max(1) > 0, kept > 0)


@pytest.mark.parametrize("options", [{}, {"class_weights": [1, 2, 3]}, {"ohem_threshold": 0.7, "ohem_min_kept": 5}])
def test_nothing_but_ignored_pixels(mode, options):
    logits, label = case(3, ignored=1.1)
    value, gradient = value_and_gradient(CrossEntropy(255, **options), logits, label)
    assert value == 0
    assert (gradient == 0).all()


def test_only_classes_of_weight_zero():
    logits, label = case(3)
    value, gradient = value_and_gradient(CrossEntropy(255, [1, 0, 0]), logits, np.ones_like(label))
    assert value == 0
    assert (gradient == 0).all()


def test_ignored_pixels_have_no_gradient_and_others_do():
    logits, label = case(4)
    gradient = value_and_gradient(CrossEntropy(), logits, label)[1]
    np.testing.assert_array_equal(np.abs(gradient).max(1) > 0, label != 255)


def test_one_class_only():
    logits, label = case(4)
    label[label != 255] = 2
    check(CrossEntropy(), logits, label, reference.cross_entropy(logits, label))


def test_another_ignore_index():
    logits, label = case(4)
    moved = np.where(label == 255, -1, label).astype(np.int32)
    check(CrossEntropy(-1), logits, moved, reference.cross_entropy(logits, label))


def test_half_precision_logits_are_computed_in_full():
    logits, label = case(7)
    logits = logits.astype(np.float16)
    value = CrossEntropy()(Tensor(logits), Tensor(label))
    assert value.dtype == ms.float32
    assert float(value.asnumpy()) == pytest.approx(reference.cross_entropy(logits, label)[0], abs=1e-5)


def test_gradient_scales_with_what_follows():
    class Scaled(nn.Cell):
        def __init__(self):
            super().__init__()
            self.loss = CrossEntropy()

        def construct(self, logits, label):
            return 0.4 * self.loss(logits, label)

    logits, label = case(4)
    expected = reference.cross_entropy(logits, label)
    check(Scaled(), logits, label, (0.4 * expected[0], 0.4 * expected[1]))
