"""Evaluation report: eval.json, the console table and the pictures."""

import json

import cv2
import numpy as np
import pytest

from src.inference.evaluator import evaluate
from src.inference.predictions import Predictions
from src.schema.training import EvalConfig

CLASSES, COLORS = ["sky", "road", "car"], [(10, 20, 30), (200, 0, 0), (0, 0, 250)]


def samples():
    random = np.random.default_rng(0)
    for index in range(3):
        label = random.integers(0, 2, (20, 30)).astype(np.int32)
        image = np.zeros((1, 3, 20, 30), np.float32)
        image[0, 0] = label
        label[:2] = 255
        yield image, label, f"image{index}"


def runner(image):
    """Predict class 1 where the first channel is above one half; one column is always wrong."""
    logits = np.zeros((1, 3, *image.shape[2:]), np.float32)
    logits[:, 1] = image[:, 0] * 2 - 1
    logits[..., 0] = -logits[..., 0]
    logits[:, 2] = -9
    return logits


@pytest.fixture
def result():
    return evaluate(runner, samples(), CLASSES, EvalConfig(), "some.ckpt")


def test_report_is_complete_and_right(result, tmp_path):
    result.write(tmp_path / "eval.json")
    report = json.loads((tmp_path / "eval.json").read_text())
    assert {"mIoU", "aAcc", "mAcc", "mFscore", "mPrecision", "mRecall", "mDice"} <= report.keys()
    assert report["images"] == 3
    assert report["absent_classes"] == ["car"]
    assert report["per_class"]["car"]["IoU"] is None
    assert report["aAcc"] == pytest.approx(100 * 29 / 30)
    assert report["protocol"] == {
        "mode": "whole", "crop": None, "stride": None, "scales": [1.0], "flip": False, "weights": "some.ckpt",
    }  # fmt: skip


def test_table_names_classes_and_counts_the_absent(result):
    table = result.table()
    assert "1 absent" in table
    assert f"mIoU {result.report()['mIoU']:.2f}" in table
    assert [line.split()[0] for line in table.splitlines()[1:4]] == CLASSES


def test_predictions_have_the_class_colors(tmp_path):
    predictions = Predictions(tmp_path, ["color"], COLORS, {}, "folder", "val")
    evaluate(runner, samples(), CLASSES, EvalConfig(), "x", predictions)
    drawn = cv2.imread(str(tmp_path / "predictions" / "image0.png"))[..., ::-1]
    image, _, _ = next(iter(samples()))
    expected = np.array(COLORS)[runner(image)[0].argmax(0)]
    np.testing.assert_array_equal(drawn, expected)
    assert len(list((tmp_path / "predictions").iterdir())) == 3
