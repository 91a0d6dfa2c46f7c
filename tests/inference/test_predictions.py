"""Saved predictions: colors, ids, the data set's own numbers, and names with folders."""

import cv2
import numpy as np
import pytest

from src.data.catalog import load_dataset_info
from src.errors import UserError
from src.inference.predictions import Predictions, raw_values

PREDICTION = np.array([[0, 1, 2], [2, 2, 1]], np.uint8)


def label_map_of(info):
    return {str(raw): train_id for raw, train_id in info.label_map.items()}


def save(folder, dataset, split, name):
    info = load_dataset_info(dataset)
    predictions = Predictions(folder, ["color", "ids", "raw"], info.colors, label_map_of(info), dataset, split)
    predictions.add(name, PREDICTION)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    return files, cv2.imread(str(folder / files[-1]), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(
    ("dataset", "split", "name", "file", "values"),
    [
        ("ade20k", "validation", "ADE_val_1", "raw/ADE_val_1.png", (1, 2, 3)),
        ("cityscapes", "test", "berlin_000000_000019", "raw/results/berlin_000000_000019.png", (7, 8, 11)),
        ("voc2012", "test", "2008_1", "raw/results/VOC2012/Segmentation/comp6_test_cls/2008_1.png", (0, 1, 2)),
        ("camvid", "val", "monday/img.1", "raw/monday/img.1.png", (0, 1, 2)),
    ],
)
def test_raw_files_are_where_the_server_looks(tmp_path, dataset, split, name, file, values):
    files, raw = save(tmp_path, dataset, split, name)
    assert files == [f"ids/{name}.png", f"predictions/{name}.png", file]
    np.testing.assert_array_equal(raw, np.array(values)[PREDICTION])
    assert raw.dtype == np.uint8
    ids = cv2.imread(str(tmp_path / f"ids/{name}.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(ids, PREDICTION)


def test_one_stem_in_two_folders_makes_two_files(tmp_path):
    predictions = Predictions(tmp_path, ["ids"], [(0, 0, 0)] * 3, {}, "folder", "val")
    for name in ("monday/img", "tuesday/img"):
        predictions.add(name, PREDICTION)
    assert len(list(tmp_path.rglob("img.png"))) == 2


@pytest.mark.parametrize(
    "dataset", ["ade20k", "cityscapes", "coco_stuff", "coco_stuff10k", "pascal_context", "voc2012"]
)
def test_raw_values_map_back_to_every_class(dataset):
    info = load_dataset_info(dataset)
    raw = raw_values(label_map_of(info), len(info.classes))
    assert [info.label_map[int(value)] for value in raw] == list(range(len(info.classes)))


def test_large_values_take_16_bits_and_a_class_without_one_is_named():
    assert raw_values({"300": 0, "5": 1, "6": 1, "255": 255}, 2).tolist() == [300, 5]
    assert raw_values({"300": 0}, 1).dtype == np.uint16
    with pytest.raises(UserError, match="no raw value for class 1"):
        raw_values({"300": 0}, 2)
