"""Scores of a small example by the formulas of mmsegmentation's IoUMetric, worked out on paper."""

import csv
import io

import numpy as np
import pytest

from src.metrics.confusion_matrix import ConfusionMatrix
from src.metrics.per_image import ImageCounts, confusion_csv, per_image_csv, worst_first

# Label (rows) and prediction (columns) of 40 pixels; class 3 is predicted but never labeled, class 4 is neither.
MATRIX = np.array([[10, 2, 0, 3, 0], [4, 6, 0, 0, 0], [0, 5, 10, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])


def pixels(matrix):
    """A label and a prediction with these counts, and ignored pixels of every class."""
    rows, columns = np.indices(matrix.shape)
    label, prediction = (ids.ravel().repeat(matrix.ravel()) for ids in (rows, columns))
    return np.append(label, [255] * 5), np.append(prediction, range(5))


def test_scores_by_hand():
    label, prediction = pixels(MATRIX)
    matrix = ConfusionMatrix(5)
    matrix.update(prediction, label)
    scores = matrix.compute()
    # area_intersect 10 6 10 0 0, area_label 15 10 15 0 0, area_pred_label 14 13 10 3 0
    expected = {
        "IoU": [10 / 19, 6 / 17, 10 / 15, 0, np.nan],  # intersect / (label + pred - intersect)
        "Acc": [10 / 15, 6 / 10, 10 / 15, np.nan, np.nan],  # intersect / label
        "Dice": [20 / 29, 12 / 23, 20 / 25, 0, np.nan],  # 2 intersect / (label + pred)
        "Precision": [10 / 14, 6 / 13, 1, 0, np.nan],  # intersect / pred
        "Recall": [10 / 15, 6 / 10, 10 / 15, np.nan, np.nan],
    }
    expected["Fscore"] = expected["Dice"]  # with beta 1, where both are defined
    for name, values in expected.items():
        np.testing.assert_allclose(scores.per_class[name], 100 * np.array(values))
        assert scores.mean(name) == pytest.approx(100 * np.nanmean(values))  # nanmean, as there
    assert scores.accuracy == pytest.approx(100 * 26 / 40)  # sum of intersect / sum of label
    assert scores.absent == [4]


def test_csv_of_images_has_the_worst_first():
    good, bad, empty = np.zeros((3, 5, 5), np.int64)
    good[0, 0], bad[0, 0], bad[0, 1] = 8, 2, 6
    images = [ImageCounts.of(0, "good", good, None), ImageCounts.of(1, "city, 1", bad, None)]
    images.insert(1, ImageCounts.of(2, "empty", empty, None))
    lines = list(csv.reader(io.StringIO(per_image_csv(worst_first(images, 5), list("abcde")))))
    assert lines == [
        ["image", "mIoU", "aAcc", "a", "b", "c", "d", "e"],
        ["city, 1", "12.5000", "25.0000", "25.0000", "0.0000", "", "", ""],
        ["good", "100.0000", "100.0000", "100.0000", "", "", "", ""],
        ["empty", "", "", "", "", "", "", ""],
    ]


def test_counts_of_an_image_survive_json_and_sum_up():
    image = ImageCounts.of(7, "a/b", MATRIX, np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]))
    again = ImageCounts.from_json(image.to_json())
    np.testing.assert_array_equal(again.matrix(5), MATRIX)
    np.testing.assert_array_equal(again.boundary, image.boundary)
    assert (again.index, again.name) == (7, "a/b")


def test_csv_of_confusions():
    assert confusion_csv(MATRIX[:2, :2], ["a", "b, c"]) == 'label,a,"b, c"\na,10,2\n"b, c",4,6\n'
