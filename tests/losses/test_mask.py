"""Focal and dice loss of the class masks against a loop over images and classes, in float64."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.losses.mask import MaskLoss
from tests.models.reference import resize

CLASSES = 4


def reference(masks, label, ignore_as_negative=True):
    """focal, dice of masks [B, K, H, W] at the label's size."""
    focal, dice, pairs = 0.0, 0.0, 0
    for image in range(len(masks)):
        counted = label[image] != 255
        valid = np.ones_like(counted) if ignore_as_negative else counted
        for k in range(masks.shape[1]):
            y = (label[image] == k).astype(np.float64)
            if not y.any():
                continue
            pairs += 1
            p = 1 / (1 + np.exp(-masks[image, k].astype(np.float64)))
            positive = -0.25 * (1 - p) ** 2 * np.log(p)
            negative = -0.75 * p**2 * np.log(1 - p)
            focal += np.where(y > 0, positive, negative)[valid].mean()
            dice += 1 - (2 * (p * y)[valid].sum() + 1) / (p[valid].sum() + y.sum() + 1)
    return focal / max(pairs, 1), dice / max(pairs, 1)


def labels():
    """Names and label maps: all classes, an absent class, one class only, one image ignored, everything ignored."""
    generator = np.random.default_rng(1)
    label = generator.integers(0, CLASSES, (2, 9, 11)).astype(np.int32)
    label[:, :2] = 255
    absent = np.where(label == 2, 1, label).astype(np.int32)
    half = label.copy()
    half[0] = 255
    return {
        "all": label,
        "absent": absent,
        "one class": np.full_like(label, 3),
        "one image": half,
        "nothing": np.full_like(label, 255),
    }


class Weighted(nn.Cell):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, masks, label):
        focal, dice = self.loss(masks, label)
        return 5.0 * focal + 2.0 * dice


def masks_of(shape=(2, CLASSES, 9, 11)):
    return (3 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("case", labels())
@pytest.mark.parametrize("ignore_as_negative", [False, True])
def test_values(mode, case, ignore_as_negative):
    label, masks = labels()[case], masks_of()
    values = MaskLoss(CLASSES, 255, ignore_as_negative)(Tensor(masks), Tensor(label))
    expected = reference(masks, label, ignore_as_negative)
    np.testing.assert_allclose([value.asnumpy() for value in values], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("case", labels())
def test_gradient_against_finite_differences(case):
    label, masks = labels()[case], masks_of()
    gradient = ms.grad(Weighted(MaskLoss(CLASSES)))(Tensor(masks), Tensor(label)).asnumpy()
    generator = np.random.default_rng(2)
    for _ in range(8):
        direction = generator.standard_normal(masks.shape)
        sides = [reference(masks.astype(np.float64) + step * direction, label) for step in (1e-5, -1e-5)]
        slope = sum(weight * (a - b) for weight, a, b in zip((5, 2), *sides, strict=True)) / 2e-5
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=2e-4, atol=1e-6)


def test_masks_are_resized_to_the_label():
    label, masks = labels()["all"], masks_of((2, CLASSES, 3, 4))
    values = MaskLoss(CLASSES)(Tensor(masks), Tensor(label))
    expected = reference(resize(masks.astype(np.float64), (9, 11)), label)
    np.testing.assert_allclose([value.asnumpy() for value in values], expected, rtol=1e-5)


def test_tuples_are_summed_before_the_loss_and_tuples_of_tuples_after_it(mode):
    label, coarse, fine = labels()["absent"], masks_of((2, CLASSES, 3, 4)), masks_of()
    resized = resize(coarse.astype(np.float64), (9, 11))
    coarse, fine_tensor = Tensor(coarse), Tensor(fine)
    together = MaskLoss(CLASSES)((coarse, fine_tensor), Tensor(label))
    np.testing.assert_allclose([v.asnumpy() for v in together], reference(resized + fine, label), rtol=1e-5)
    apart = MaskLoss(CLASSES)(((coarse,), (fine_tensor,)), Tensor(label))
    expected = np.add(reference(resized, label), reference(fine, label))
    np.testing.assert_allclose([v.asnumpy() for v in apart], expected, rtol=1e-5)


def test_extreme_logits_stay_finite():
    label = labels()["all"]
    masks = np.where(np.random.default_rng(3).random((2, CLASSES, 9, 11)) < 0.5, -200, 200).astype(np.float32)
    loss = Weighted(MaskLoss(CLASSES))
    assert np.isfinite(loss(Tensor(masks), Tensor(label)).asnumpy())
    assert np.isfinite(ms.grad(loss)(Tensor(masks), Tensor(label)).asnumpy()).all()


def test_perfect_masks_cost_nothing():
    label = labels()["all"]
    masks = np.where(np.arange(CLASSES)[:, None, None] == label[:, None], 30.0, -30.0).astype(np.float32)
    focal, dice = MaskLoss(CLASSES)(Tensor(masks), Tensor(label))
    assert focal.asnumpy() < 1e-6
    assert abs(dice.asnumpy()) < 1e-6
