"""The synthetic set: reproducible, complete, and not solvable by color."""

import numpy as np
import pytest

from src.data.catalog import SHAPES
from src.data.info import IGNORE
from src.data.shapes import scene


def scenes(count, split="train", size=(96, 96)):
    return [scene(0, split, index, size) for index in range(count)]


def test_scene_depends_on_seed_split_and_index_alone():
    first = scene(3, "train", 5, (64, 80))
    scene(3, "train", 6, (64, 80))
    again = scene(3, "train", 5, (64, 80))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert first[0].shape == (64, 80, 3) and first[0].dtype == first[1].dtype == np.uint8
    for other in (scene(4, "train", 5, (64, 80)), scene(3, "val", 5, (64, 80)), scene(3, "train", 6, (64, 80))):
        assert (other[0] != first[0]).any()


def test_all_classes_and_thin_void_borders_appear():
    labels = np.stack([label for _, label in scenes(40)])
    assert set(np.unique(labels)) == {*range(len(SHAPES.classes)), IGNORE}
    assert 0.02 < (labels == IGNORE).mean() < 0.15
    shares = np.bincount(labels[labels != IGNORE], minlength=7) / (labels != IGNORE).sum()
    assert shares.min() > 0.01


def test_color_alone_does_not_tell_the_class():
    """The best guess from a pixel's color, learnt on other scenes, hardly beats the most common class."""

    def pixels(split):
        images, labels = (np.stack(values) for values in zip(*scenes(60, split), strict=True))
        valid = labels != IGNORE
        bins = (images // 32).astype(int) @ np.array([64, 8, 1])
        return bins[valid], labels[valid]

    bins, labels = pixels("train")
    table = np.zeros((512, len(SHAPES.classes)))
    np.add.at(table, (bins, labels), 1)
    bins, labels = pixels("val")
    guess = table.argmax(1)[bins]
    iou = [((guess == c) & (labels == c)).sum() / ((guess == c) | (labels == c)).sum() for c in range(1, 7)]
    assert np.mean(iou) < 0.05


@pytest.mark.parametrize("size", [(32, 32), (40, 200)])
def test_any_size(size):
    image, label = scene(0, "val", 0, size)
    assert image.shape == (*size, 3) and label.shape == size
