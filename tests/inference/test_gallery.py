"""Images that an evaluation keeps for its report."""

import base64

import cv2
import numpy as np
import pytest

from src.config import load_config
from src.inference.gallery import SIDE, Gallery
from tests.report.runs import PLAIN, label, sample


@pytest.fixture
def gallery(small_config):
    """Make a gallery of three classes."""
    return lambda total, limit: Gallery(total, 3, load_config(small_config, [*PLAIN, f"report.images={limit}"]))


def add(gallery, name, wrong):
    image, truth, name = sample(name, wrong)
    gallery.add(name, image[0], truth, image[0, 0].astype(np.uint8))


def decode(text):
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_UNCHANGED)


def test_keeps_some_of_all_kinds_and_the_worst_of_the_others(gallery):
    kept = gallery(20, 7)
    wrong = [5, 1, 30, 2, 9, 3, 8, 0, 7, 4, 6, 12, 31, 10, 11, 13, 14, 36, 15, 16]
    for index, columns in enumerate(wrong):
        add(kept, f"image{index}", columns)
    spread = {0, 6, 13, 19}
    worst = sorted(set(range(20)) - spread, key=lambda index: -wrong[index])[:3]
    assert [image["index"] for image in kept.images()] == sorted(spread | set(worst))


def test_keeps_all_of_a_small_split(gallery):
    kept = gallery(3, 7)
    for index in range(3):
        add(kept, f"image{index}", index)
    assert [image["name"] for image in kept.images()] == ["image0", "image1", "image2"]


def test_nothing_is_kept_where_nothing_is_wanted(gallery):
    kept = gallery(3, 0)
    add(kept, "image", 3)
    assert kept.images() == []


def test_scores_of_an_image(gallery):
    kept = gallery(1, 1)
    add(kept, "image", 6)  # of 12 columns of road, 6 are predicted as car
    (image,) = kept.images()
    assert image["wrong"] == pytest.approx(100 / 6)
    assert image["IoU"] == {"0": 50.0, "1": round(100 * 12 / 18, 2), "2": 100.0}
    assert image["mIoU"] == pytest.approx(np.mean([50, 100 * 12 / 18, 100]))
    assert image["confusions"] == [[0, 1, 6 * 23]]
    assert (image["labeled"], image["size"]) == (36 * 23, [24, 36])


def test_pictures(gallery):
    kept = gallery(1, 1)
    add(kept, "image", 6)
    (image,) = kept.images()
    np.testing.assert_array_equal(decode(image["label"]), label())
    np.testing.assert_array_equal(decode(image["prediction"]), sample("", 6)[0][0, 0])
    photo = decode(image["photo"])[..., ::-1].astype(int)
    assert photo.shape == (24, 36, 3)
    assert abs(photo[..., 1:] - 90).max() < 12


def test_large_images_become_small(gallery):
    kept = gallery(1, 1)
    ids = np.zeros((500, 1000), np.int32)
    kept.add("large", np.zeros((3, 250, 500), np.float32), ids, ids)  # the photo may have another size
    (image,) = kept.images()
    assert {decode(image[name]).shape[:2] for name in ("photo", "label", "prediction")} == {(SIDE // 2, SIDE)}
    assert image["size"] == [500, 1000]


def test_an_image_without_a_label_has_no_score(gallery):
    kept = gallery(1, 1)
    ids = np.full((24, 36), 255, np.int32)
    kept.add("image", np.zeros((3, 24, 36), np.float32), ids, np.zeros((24, 36), np.uint8))
    (image,) = kept.images()
    assert (image["wrong"], image["mIoU"], image["IoU"], image["confusions"]) == (None, None, {}, [])


def test_a_small_picture_has_the_classes_at_its_pixels_centers(small_config):
    """Two classes in columns by turns of three: a third of the size has the middle of each three, not its edge."""
    kept = Gallery(1, 3, load_config(small_config, [*PLAIN, "report.images=1"]))
    ids = np.tile(np.array([0, 1, 2], np.int64), (3 * SIDE, SIDE))
    kept.add("image", np.zeros((3, *ids.shape), np.float32), ids, ids)
    (image,) = kept.images()
    for name in ("label", "prediction"):
        np.testing.assert_array_equal(decode(image[name]), np.ones((SIDE, SIDE), np.uint8))
