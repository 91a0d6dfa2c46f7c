"""The confusion matrix and every score, against a direct computation with sets of pixels."""

import numpy as np
import pytest

from src.metrics.confusion_matrix import ConfusionMatrix


def direct_scores(prediction, label, num_classes):
    """IoU, accuracy, F-score and precision per class, from boolean masks, in percent."""
    valid = label != 255
    prediction, label = prediction[valid], label[valid]
    iou, acc, fscore, precision = (np.full(num_classes, np.nan) for _ in range(4))
    for c in range(num_classes):
        p, t = prediction == c, label == c
        if (p | t).any():
            iou[c] = 100 * (p & t).sum() / (p | t).sum()
            fscore[c] = 100 * 2 * (p & t).sum() / (p.sum() + t.sum())
        if t.any():
            acc[c] = 100 * (p & t).sum() / t.sum()
        if p.any():
            precision[c] = 100 * (p & t).sum() / p.sum()
    return {"IoU": iou, "Acc": acc, "Recall": acc, "Fscore": fscore, "Dice": fscore, "Precision": precision}


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_direct_computation(seed):
    random = np.random.default_rng(seed)
    num_classes = int(random.integers(2, 20))
    present = random.choice(num_classes, size=max(2, num_classes - 3), replace=False)
    label = random.choice(present, size=(5, 31, 17)).astype(np.int32)
    prediction = np.where(random.random(label.shape) < 0.6, label, random.choice(present[:-1], size=label.shape))
    label[random.random(label.shape) < 0.2] = 255
    matrix = ConfusionMatrix(num_classes)
    for p, t in zip(prediction, label, strict=True):
        matrix.update(p.astype(np.uint8), t)
    scores = matrix.compute()
    for name, expected in direct_scores(prediction, label, num_classes).items():
        np.testing.assert_allclose(scores.per_class[name], expected, rtol=0, atol=1e-9)
        assert scores.mean(name) == pytest.approx(np.nanmean(expected), abs=1e-9)
    valid = label != 255
    assert scores.accuracy == pytest.approx(100 * (prediction == label)[valid].mean(), abs=1e-9)


def test_absent_classes_are_named_and_left_out_of_means():
    matrix = ConfusionMatrix(4)
    matrix.update(np.array([[0, 0, 1, 1]]), np.array([[0, 0, 1, 255]]))
    scores = matrix.compute()
    assert scores.absent == [2, 3]
    assert scores.mean("IoU") == 100.0
    assert scores.by_class(["a", "b", "c", "d"])["d"]["IoU"] is None
    assert scores.summary()["mIoU"] == 100.0


def test_predicted_but_never_labeled_class_counts_as_zero_iou():
    matrix = ConfusionMatrix(3)
    matrix.update(np.array([0, 0, 2]), np.array([0, 0, 0]))
    scores = matrix.compute()
    assert scores.absent == [1]
    assert scores.per_class["IoU"][2] == 0.0
    assert scores.mean("IoU") == pytest.approx((200 / 3 + 0) / 2)
    assert np.isnan(scores.per_class["Acc"][2])


def test_only_ignored_pixels_give_no_score():
    matrix = ConfusionMatrix(2)
    matrix.update(np.zeros((3, 3), np.uint8), np.full((3, 3), 255))
    summary = matrix.compute().summary()
    assert summary["mIoU"] is None
    assert summary["aAcc"] is None


@pytest.mark.parametrize(("prediction", "label"), [([0, 2], [0, 1]), ([0, 1], [0, 7]), ([0], [0, 1])])
def test_refuses_ids_outside_the_classes_and_other_shapes(prediction, label):
    with pytest.raises(ValueError):
        ConfusionMatrix(2).update(np.array(prediction), np.array(label))
