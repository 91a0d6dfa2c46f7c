"""Class-aware consistency against NumPy and finite differences, by hand, and in the corners."""

import subprocess
import sys
from functools import lru_cache

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.losses.consistency import MARGINS, Consistency
from tests.commands import ROOT
from tests.losses.consistency_reference import consistency, gradient
from tests.models.reference import majority

CLASSES, MIN_PIXELS = 4, 3
SIZE, LABEL_SIZE = (4, 5), (9, 11)
DISTANCES, SCOPES = ("cosine", "euclidean"), ("image", "batch")


class Weighted(nn.Cell):
    """0.7 intra + 1.3 inter, with both as they are."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, features, label):
        intra, inter = self.loss(features, label)
        return 0.7 * intra + 1.3 * inter, intra, inter


@lru_cache
def step(mode, distance, scope, margins, ignore_index):
    """Value and gradient, compiled once for all tests of a loss."""
    loss = Consistency(CLASSES, ignore_index, distance, scope, MIN_PIXELS, *margins)
    return ms.value_and_grad(Weighted(loss), 0, has_aux=True)


def run(features, label, distance, scope, margins=(None, None), ignore_index=255):
    """Intra, inter, and the gradient of 0.7 intra + 1.3 inter."""
    function = step(ms.get_context("mode"), distance, scope, margins, ignore_index)
    (_, intra, inter), derivative = function(Tensor(features.astype(np.float32)), Tensor(label.astype(np.int32)))
    return float(intra.asnumpy()), float(inter.asnumpy()), derivative.asnumpy()


def check(features, label, distance, scope, margins=(None, None)):
    """Compare value and gradient with the reference; return intra and inter."""
    features = features.astype(np.float32).astype(np.float64)
    deltas = [default if own is None else own for own, default in zip(margins, MARGINS[distance], strict=True)]

    def total(x):
        intra, inter = consistency(x, label, distance, scope, MIN_PIXELS, deltas)
        return 0.7 * intra + 1.3 * inter

    intra, inter, derivative = run(features, label, distance, scope, margins)
    expected = consistency(features, label, distance, scope, MIN_PIXELS, deltas)
    np.testing.assert_allclose((intra, inter), expected, atol=1e-5, rtol=1e-5)
    slope = gradient(total, features)
    np.testing.assert_allclose(derivative, slope, atol=1e-5 * max(1, np.abs(slope).max()))
    return intra, inter


def case(seed, ignored=0.2):
    """Two images: features in clusters, at random places, so that both parts are far from 0."""
    generator = np.random.default_rng(seed)
    label = np.kron(generator.integers(0, CLASSES, (2, 5, 6)), np.ones((1, 2, 2), np.int64))[:, :9, :11]
    label[generator.random(label.shape) < ignored] = 255
    centers = generator.standard_normal((256, 3))
    ids = majority(label, SIZE, CLASSES, 0.75)
    return 0.7 * generator.standard_normal((2, 3, *SIZE)) + centers[ids].transpose(0, 3, 1, 2), label


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("distance", DISTANCES)
class TestAgainstTheReference:
    @pytest.mark.parametrize("seed", [0, 3])
    def test_random_case(self, distance, scope, seed):
        intra, inter = check(*case(seed), distance, scope)
        assert intra > 0 and inter > 0

    def test_absent_classes(self, distance, scope):
        features, label = case(5)
        label[0][label[0] == 1] = 255  # in one image only
        label[label == 3] = 2  # in none
        check(features, label, distance, scope)

    def test_one_class_only(self, distance, scope):
        features, label = case(6)
        label[label != 255] = 2
        assert check(features, label, distance, scope)[1] == 0

    def test_no_class_with_enough_pixels(self, distance, scope):
        features, label = case(8, ignored=1.1)
        for pixels in range(MIN_PIXELS):
            label[0, 0, [0, 2][:pixels]] = 1  # two of the elements that the features' pixels stand for
            intra, inter, derivative = run(features, label, distance, scope)
            assert intra == inter == 0
            assert (derivative == 0).all()

    def test_features_of_length_0(self, distance, scope):
        features, label = case(11)
        features[:, :, :2] = 0
        for image in (features, 0 * features):
            *values, derivative = run(image, label, distance, scope)
            expected = consistency(image, label, distance, scope, MIN_PIXELS, MARGINS[distance])
            np.testing.assert_allclose(values, expected, atol=1e-5)
            assert np.isfinite(derivative).all()


def two_classes(first, second):
    """Two images whose upper half is class 0 with the vector ``first``, the lower one class 1 with ``second``."""
    features, label = np.empty((2, 3, *SIZE)), np.zeros((2, *LABEL_SIZE))
    features[:, :, :2], features[:, :, 2:] = (np.array([*v, 0.0])[:, None, None] for v in (first, second))
    label[:, 4:] = 1
    return features, label


@pytest.mark.parametrize("scope", SCOPES)
class TestByHand:
    def test_pure_and_orthogonal_is_0(self, scope):
        intra, inter, derivative = run(*two_classes((5, 0), (0, 0.1)), "cosine", scope)
        assert intra == inter == 0
        assert (derivative == 0).all()

    def test_pure_and_far_apart_is_0(self, scope):
        assert run(*two_classes((0, 0), (3.1, 0)), "euclidean", scope)[:2] == (0, 0)

    def test_two_classes_on_one_point(self, mode, scope):
        same = two_classes((3, 4), (3, 4))
        assert run(*same, "cosine", scope)[1] == pytest.approx(1 - 0.1)
        intra, inter, derivative = run(*same, "euclidean", scope)
        assert (intra, inter) == (0, pytest.approx((2 * 1.5) ** 2))
        assert (derivative == 0).all()  # no direction is better than another

    def test_two_halves_of_one_class(self, scope):
        features, label = two_classes((2, 0), (0, 2))
        cosine = run(features, 0 * label, "cosine", scope)
        assert cosine[:2] == (pytest.approx(1 - 0.5**0.5 - 0.05, abs=1e-6), 0)
        euclidean = run(features, 0 * label, "euclidean", scope)
        assert euclidean[:2] == (pytest.approx((2**0.5 - 0.5) ** 2, rel=1e-6), 0)


def test_scopes_differ_where_images_differ():
    features, label = two_classes((1, 0), (0, 1))
    label[1] = 1 - label[1]
    assert run(features, label, "cosine", "image")[0] == 0
    assert run(features, label, "cosine", "batch")[0] == pytest.approx(1 - 0.5**0.5 - 0.05, abs=1e-6)


@pytest.mark.parametrize(("distance", "scope"), [("cosine", "image"), ("euclidean", "batch")])
def test_batch_of_one_and_an_image_that_does_not_count(distance, scope):
    features, label = case(7)
    label[1] = 255
    both = check(features, label, distance, scope)
    alone = check(features[:1], label[:1], distance, scope)
    np.testing.assert_allclose(both, alone, rtol=1e-6)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(("distance", "margins"), [("cosine", (None, 0.0)), ("euclidean", (0.0, 0.8))])
def test_pynative_and_other_margins(distance, scope, margins):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    check(*case(2), distance, scope, margins)


@pytest.mark.parametrize("weighting", ["sqrt", "pixels"])
@pytest.mark.parametrize("scope", SCOPES)
def test_class_weighting_and_purity(scope, weighting):
    features, label = case(0)
    features = features.astype(np.float32).astype(np.float64)
    arguments = ("cosine", scope, 2, MARGINS["cosine"])
    loss = Consistency(CLASSES, 255, *arguments[:3], purity=0.4, class_weighting=weighting)
    step = ms.value_and_grad(Weighted(loss), 0, has_aux=True)
    (_, *found), slope = step(Tensor(features.astype(np.float32)), Tensor(label.astype(np.int32)))

    def total(x):
        intra, inter = consistency(x, label, *arguments, purity=0.4, weighting=weighting)
        return 0.7 * intra + 1.3 * inter

    expected = consistency(features, label, *arguments, purity=0.4, weighting=weighting)
    assert not np.allclose(expected, consistency(features, label, *arguments, purity=0.4), rtol=1e-3)
    np.testing.assert_allclose([part.asnumpy() for part in found], expected, atol=1e-5)
    np.testing.assert_allclose(slope.asnumpy(), gradient(total, features), atol=1e-5)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("distance", DISTANCES)
def test_detached_centers(mode, distance, scope):
    """With the centers as constants the gradient is the one that finite differences give for a fixed center."""
    label = np.zeros((1, 1, 3), np.int32)
    features = np.array([[[[3.0, 0.0, 1.0]], [[0.0, 2.0, 4.0]]]])
    values, gradients = [], []
    for detach in (False, True):
        loss = Consistency(2, 255, distance, scope, min_pixels=1, intra_margin=0.25, detach_centers=detach)
        step = ms.value_and_grad(Weighted(loss), 0, has_aux=True)
        (value, *_), derivative = step(Tensor(features.astype(np.float32)), Tensor(label))
        values.append(value.asnumpy())
        gradients.append(derivative.asnumpy())
    assert values[0] == values[1]
    pixels = features[0, :, 0].T
    unit = pixels / np.linalg.norm(pixels, axis=1, keepdims=True) if distance == "cosine" else pixels
    center = unit.mean(0) / (np.linalg.norm(unit.mean(0)) if distance == "cosine" else 1)

    def constant(x):
        x = x[0, :, 0].T
        if distance == "cosine":
            return 0.7 * np.mean(np.maximum(0.75 - (x / np.linalg.norm(x, axis=1, keepdims=True)) @ center, 0))
        return 0.7 * np.mean((np.linalg.norm(x - center, axis=1) - 0.25) ** 2)

    np.testing.assert_allclose(gradients[1], gradient(constant, features), atol=1e-4)
    assert not np.allclose(gradients[0], gradients[1], atol=1e-3)


def test_half_precision_features_are_computed_in_full():
    features, label = case(12)
    half = features.astype(np.float16)
    intra, inter = Consistency(CLASSES, min_pixels=3)(Tensor(half), Tensor(label.astype(np.int32)))
    assert intra.dtype == inter.dtype == ms.float32
    expected = consistency(half.astype(np.float64), label, "cosine", "image", 3, MARGINS["cosine"])
    np.testing.assert_allclose((intra.asnumpy(), inter.asnumpy()), expected, atol=1e-5)


@pytest.mark.parametrize("ignore_index", [-7, 1000])
def test_another_ignore_index(ignore_index):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    features, label = case(13)
    moved = np.where(label == 255, ignore_index, label)
    found = run(features, moved, "cosine", "image", ignore_index=ignore_index)
    assert found[:2] == run(features, label, "cosine", "image")[:2]


MEASURE = """
import resource
from pathlib import Path
import src
import mindspore as ms
import numpy as np
from mindspore import Tensor
from src.losses.consistency import Consistency
from tests.launch.worker import Total

def run(side):
    random = np.random.default_rng(0)
    label = np.kron(random.integers(0, 150, (8, side // 4, side // 4)), np.ones((1, 32, 32)))
    features = Tensor(random.standard_normal((8, 256, side, side), dtype=np.float32))
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**10
    step(features, Tensor(label.astype(np.int32)))[1].asnumpy()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20

ms.set_device("CPU")
step = ms.value_and_grad(Total(Consistency(150, 255, "DISTANCE")), 0, has_aux=True)
run(8)
print(run(96))
"""


@pytest.mark.slow
@pytest.mark.parametrize("distance", DISTANCES)
def test_memory_of_a_large_map_in_gib(distance):
    command = [sys.executable, "-c", MEASURE.replace("DISTANCE", distance)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    print(distance, done.stdout)
    assert 0.1 < float(done.stdout) < 1.5
