"""Region Dice, Lovász-softmax and focal loss: values and gradients against NumPy in float64, and the corners."""

from functools import partial

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.errors import UserError
from src.losses import build_criterion
from src.losses.focal import Focal
from src.losses.lovasz import Lovasz
from src.losses.region_dice import RegionDice
from tests.losses import reference, regions_reference
from tests.losses.test_criterion import batch, config
from tests.models.reference import resize

CLASSES = 4
WEIGHTS = [0.5, 2.0, 0.0, 1.0]
LOSSES = {  # name: the cell, and the same in NumPy
    "region_dice": (lambda: RegionDice(CLASSES), regions_reference.region_dice),
    "lovasz": (lambda: Lovasz(CLASSES), regions_reference.lovasz),
    "lovasz, image": (lambda: Lovasz(CLASSES, 255, "image"), partial(regions_reference.lovasz, scope="image")),
    "focal": (lambda: Focal(), partial(regions_reference.focal, gamma=2.0)),
    "focal, gamma 0.5": (lambda: Focal(gamma=0.5), partial(regions_reference.focal, gamma=0.5)),
    "focal, weighted": (
        lambda: Focal(255, WEIGHTS, 3.0),
        partial(regions_reference.focal, gamma=3.0, class_weights=WEIGHTS),
    ),
}


def labels():
    """All classes, an absent class, one class only, one image ignored, a single pixel."""
    label = np.random.default_rng(1).integers(0, CLASSES, (3, 9, 11)).astype(np.int32)
    label[:, :2] = 255
    half, single = label.copy(), np.full_like(label, 255)
    half[0], single[1, 4, 5] = 255, 3
    return {
        "all": label,
        "absent": np.where(label == 2, 1, label).astype(np.int32),
        "one class": np.full_like(label, 3),
        "one image": half,
        "one pixel": single,
    }


def logits_of(scale=2.0, seed=0):
    return (scale * np.random.default_rng(seed).standard_normal((3, CLASSES, 9, 11))).astype(np.float32)


def value_and_gradient(loss, logits, label):
    value, gradient = ms.value_and_grad(loss, 0)(Tensor(logits), Tensor(label))
    return float(value.asnumpy()), gradient.asnumpy()


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients(mode, name):
    cell, expected = LOSSES[name]
    loss, logits = cell(), logits_of()
    generator = np.random.default_rng(2)
    for kind, label in labels().items():
        value, gradient = value_and_gradient(loss, logits, label)
        assert value == pytest.approx(expected(logits, label), rel=2e-5, abs=1e-7), kind
        for _ in range(4):
            direction = generator.standard_normal(logits.shape)
            slope = regions_reference.slope(expected, logits, label, direction)
            assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-3, abs=2e-6), kind
        assert (gradient[np.broadcast_to((label == 255)[:, None], gradient.shape)] == 0).all(), kind


@pytest.mark.parametrize("name", LOSSES)
def test_nothing_but_ignored_pixels(mode, name):
    value, gradient = value_and_gradient(LOSSES[name][0](), logits_of(), np.full((3, 9, 11), 255, np.int32))
    assert value == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_another_ignore_index(name):
    cell, expected = LOSSES[name]
    label, loss = labels()["all"], cell()
    for part in (loss, getattr(loss, "regions", loss)):
        part.ignore_index = -1
    value, _ = value_and_gradient(loss, logits_of(), np.where(label == 255, -1, label).astype(np.int32))
    assert value == pytest.approx(expected(logits_of(), label), rel=2e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_logits_are_computed_in_full(name):
    cell, expected = LOSSES[name]
    label, logits = labels()["all"], logits_of().astype(np.float16)
    value = cell()(Tensor(logits), Tensor(label))
    assert value.dtype == ms.float32
    assert float(value.asnumpy()) == pytest.approx(expected(logits.astype(np.float32), label), rel=2e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_perfect_and_extreme_predictions(name):
    label = labels()["all"]
    sure = 2.0 * (np.arange(CLASSES)[:, None, None] == label[:, None]) - 1
    value, gradient = value_and_gradient(LOSSES[name][0](), (60 * sure).astype(np.float32), label)
    assert 0 <= value < 1e-6
    assert np.isfinite(gradient).all()
    value, gradient = value_and_gradient(LOSSES[name][0](), (-500 * sure).astype(np.float32), label)
    assert np.isfinite(value) and value > 0.5
    assert np.isfinite(gradient).all()


def test_lovasz_of_sure_predictions_is_the_jaccard_loss():
    """On the corners of the cube the surrogate equals what it stands for."""
    generator = np.random.default_rng(3)
    label, guess = generator.integers(0, CLASSES, (2, 3, 9, 11)).astype(np.int32)
    label[:, 0] = 255
    logits = np.where(np.arange(CLASSES)[:, None, None] == guess[:, None], 100.0, -100.0).astype(np.float32)
    counted, losses = label != 255, []
    for k in range(CLASSES):
        y, predicted = (label == k)[counted], (guess == k)[counted]
        losses.append(1 - (y & predicted).sum() / (y | predicted).sum())
    assert float(Lovasz(CLASSES)(Tensor(logits), Tensor(label)).asnumpy()) == pytest.approx(np.mean(losses), rel=1e-5)


def test_lovasz_of_many_pixels_is_exact():
    """Differences of Jaccard losses would have lost four digits here; a gradient only needs the rank of an error."""
    generator = np.random.default_rng(4)
    logits = generator.standard_normal((1, 2, 500, 400)).astype(np.float32)
    label = (generator.random((1, 500, 400)) < 0.3).astype(np.int32)
    value, _ = value_and_gradient(Lovasz(2), logits, label)
    p, losses = regions_reference.softmax(logits), []
    for k in range(2):
        y = (label == k).ravel()
        errors = np.abs(y - p[:, k].ravel())
        order = np.argsort(-errors)
        left, union = y.sum() - np.cumsum(y[order]), y.sum() + np.cumsum(~y[order])
        losses.append((errors[order] * np.diff(1 - left / union, prepend=0)).sum())
    assert value == pytest.approx(np.mean(losses), rel=1e-5)


def test_focal_with_gamma_0_is_cross_entropy():
    label, logits = labels()["all"], logits_of()
    value, gradient = value_and_gradient(Focal(255, WEIGHTS, 0.0), logits, label)
    expected = reference.cross_entropy(logits, label, WEIGHTS)
    assert value == pytest.approx(expected[0], rel=1e-5)
    np.testing.assert_allclose(gradient, expected[1], atol=1e-6)


def test_any_decoder_may_have_them_beside_its_own(mode):
    settings = {"focal": {"weight": 0.5, "gamma": 1.0}, "lovasz": {"scope": "image"}, "region_dice": {"weight": 2.0}}
    criterion = build_criterion(config("fcn", ce={"weight": 0.0}, **settings), 3, 255)
    assert criterion.part_names == ("ce", "aux", "region_dice", "lovasz", "focal")
    outputs, label = batch()
    total, parts = criterion(tuple(Tensor(output) for output in outputs), Tensor(label))
    logits = resize(outputs[0].astype(np.float64), label.shape[1:])
    expected = [
        regions_reference.region_dice(logits, label),
        regions_reference.lovasz(logits, label, "image"),
        regions_reference.focal(logits, label, 1.0),
    ]
    parts = parts.asnumpy()
    np.testing.assert_allclose(parts[2:], expected, rtol=2e-5)
    np.testing.assert_allclose(total.asnumpy(), parts @ [0.0, 0.4, 2.0, 1.0, 0.5], rtol=1e-5)


def test_dice_of_masks_is_another_part():
    with pytest.raises(UserError, match=r"losses\.dice: decoder fpn has no such part; .* any decoder .* region_dice"):
        build_criterion(config("fpn", dice={"weight": 1.0}), 3, 255)


def test_class_weights_of_wrong_length():
    with pytest.raises(UserError, match=r"losses\.focal\.class_weights: found 2 numbers, expected 3"):
        build_criterion(config("fpn", focal={"class_weights": [1.0, 2.0]}), 3, 255)
