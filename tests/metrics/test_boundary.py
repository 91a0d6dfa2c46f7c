"""Boundary IoU against a direct computation of distances, and by hand."""

import numpy as np
import pytest

from src.metrics.boundary import SHARE, BoundaryIoU


def near_contour(mask, distance):
    """Pixels of the mask with something outside of it, or of the image, ``distance`` rows and columns away at most."""
    padded = np.pad(mask, distance)
    near = np.zeros(mask.shape, bool)
    for row, column in zip(*np.nonzero(mask), strict=True):
        near[row, column] = not padded[row : row + 2 * distance + 1, column : column + 2 * distance + 1].all()
    return near


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_direct_computation(seed):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 3, (2, 5, 7))
    label, prediction = coarse.repeat(16, 1).repeat(16, 2).astype(np.int32)
    prediction = np.roll(label, 2, 1) if seed else prediction
    label[:5, :9] = 255
    distance = max(1, round(SHARE * np.hypot(*label.shape)))
    assert distance > 1
    boundary = BoundaryIoU(4)
    boundary.counts += boundary.count(prediction.astype(np.uint8), label)
    valid = label != 255
    for index in range(3):
        guess, truth = (near_contour((ids == index) & valid, distance) for ids in (prediction, label))
        expected = 100 * (guess & truth).sum() / (guess | truth).sum()
        assert boundary.scores()[index] == pytest.approx(expected)
    assert np.isnan(boundary.scores()[3])


def test_a_large_square_that_is_shifted_by_hand():
    """Side 60 in 100 x 100, moved by one pixel: IoU stays high, boundary IoU falls."""
    label, prediction = np.zeros((2, 100, 100), np.int32)
    label[20:80, 20:80], prediction[20:80, 21:81] = 1, 1
    boundary = BoundaryIoU(2)
    intersection, union = boundary.count(prediction, label)[:, 1]
    band = 60**2 - 54**2  # three pixels wide: 2 % of the diagonal of 141
    # The bands share two of three columns at either side, and all but three columns of the rows above and below.
    assert intersection == 2 * 2 * 54 + 2 * 3 * 59
    assert union == 2 * band - intersection


def test_images_are_summed_and_the_report_names_the_classes():
    label = np.zeros((20, 20), np.int32)
    label[:, 10:] = 1
    boundary = BoundaryIoU(3)
    for prediction in (label, 1 - label):
        boundary.counts += boundary.count(prediction, label)
    one, zero = boundary.count(label, label), boundary.count(1 - label, label)
    np.testing.assert_array_equal(boundary.counts, one + zero)
    report = boundary.report(["a", "b", "c"])
    assert report["per_class"]["c"] is None
    assert report["mIoU"] == pytest.approx((report["per_class"]["a"] + report["per_class"]["b"]) / 2)


def test_nothing_labeled_gives_no_score():
    boundary = BoundaryIoU(2)
    boundary.counts += boundary.count(np.zeros((9, 9), np.uint8), np.full((9, 9), 255))
    assert boundary.report(["a", "b"])["mIoU"] is None
