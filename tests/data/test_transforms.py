"""Each transform alone: numbers, alignment of image and label, seeds."""

import cv2
import numpy as np
import pytest

from src.data.decoding import decode_image
from src.data.info import IGNORE
from src.data.transforms import (
    Normalize,
    Pad,
    PhotometricDistortion,
    RandomCrop,
    RandomFlip,
    RandomScale,
    Resize,
    build_transforms,
)
from src.errors import UserError


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def pair():
    """An image whose red channel is 10 times the label, in smooth blobs of classes 0..4 and some ignored pixels."""
    noise = cv2.resize(np.random.default_rng(1).random((3, 4)).astype(np.float32), (80, 60))
    label = (noise * 5).clip(0, 4).astype(np.uint8)
    image = np.full((60, 80, 3), 7, np.uint8)
    image[..., 0] = 10 * label
    return image, label


def test_decoding_gives_rgb():
    image = np.zeros((9, 9, 3), np.uint8)
    image[..., 0] = 200  # red
    data = np.frombuffer(cv2.imencode(".png", image[..., ::-1])[1].tobytes(), np.uint8)
    np.testing.assert_array_equal(decode_image(data), image)
    with pytest.raises(UserError, match="cannot be decoded"):
        decode_image(np.zeros(50, np.uint8))


@pytest.mark.parametrize(
    "transform", [RandomScale((0.5, 2.0)), RandomScale((0.5, 2.0), base=[96, 200]), Resize([33, 47])]
)
def test_labels_are_resized_by_nearest_and_stay_aligned(transform, pair, random):
    for _ in range(10):
        image, label = transform(*pair, random)
        assert image.shape[:2] == label.shape
        assert set(np.unique(label)) <= set(np.unique(pair[1]))
        away_from_edges = cv2.morphologyEx(label, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) == 0
        assert away_from_edges.mean() > 0.1
        np.testing.assert_array_equal(image[..., 0][away_from_edges], 10 * label[away_from_edges])


def test_half_pixel_alignment_of_a_doubled_step():
    """A vertical edge at column 8 lies at column 16 of the doubled label and in the middle of the blurred image."""
    label = np.zeros((16, 16), np.uint8)
    label[:, 8:] = 1
    image, doubled = Resize([32, 32])(np.repeat(200 * label[..., None], 3, -1), label, None)
    assert (doubled[:, :16] == 0).all() and (doubled[:, 16:] == 1).all()
    assert image[0, 15, 0] == 50 and image[0, 16, 0] == 150


def test_random_scale_ratio_and_base(pair, random):
    sizes = [RandomScale((0.5, 2.0))(*pair, random)[1].shape for _ in range(200)]
    ratios = np.array([height / 60 for height, _ in sizes])
    assert 0.49 < ratios.min() < 0.6 and 1.9 < ratios.max() < 2.01
    assert all(abs(width / 80 - height / 60) < 0.02 for height, width in sizes)
    # (2048, 512) of mmsegmentation: short side at most 512, long side at most 2048
    assert RandomScale((1.0, 1.0), base=[120, 1000])(*pair, random)[1].shape == (120, 160)
    assert RandomScale((1.0, 1.0), base=[1000, 120])(*pair, random)[1].shape == (120, 160)
    assert RandomScale((0.5, 0.5), base=[100, 120])(*pair, random)[1].shape == (45, 60)


def test_resize_keep_ratio(pair, random):
    assert Resize([100, 100], keep_ratio=True)(*pair, random)[0].shape == (75, 100, 3)
    assert Resize([100, 100])(pair[0], None, random)[1] is None
    upright = pair[0].transpose(1, 0, 2)
    assert Resize([60, 90], keep_ratio=True)(pair[0], None, random)[0].shape == (60, 80, 3)
    assert Resize([60, 90], keep_ratio=True)(upright, None, random)[0].shape == (80, 60, 3)


def test_base_size_is_that_of_random_scale_and_of_resize(pair, random, data_config):
    scale, resize = {"name": "random_scale", "ratio": [1.0, 1.0]}, {"name": "resize", "keep_ratio": True}
    normalize = {"name": "normalize"}
    for first in (scale, resize):
        data = data_config("x", base_size=[120, 1000], train_transforms=[first, normalize])
        assert build_transforms(data.train_transforms, data, "train_transforms")(*pair, random)[1].shape == (120, 160)
    data = data_config("x", train_transforms=[resize, normalize])
    with pytest.raises(UserError, match="resize has no size, and data.base_size is null"):
        build_transforms(data.train_transforms, data, "train_transforms")
    with pytest.raises(UserError, match="resize needs size"):
        data_config("x", train_transforms=[{"name": "resize"}, normalize])


def test_crop_is_a_window_of_both(pair, random):
    starts = set()
    for _ in range(30):
        image, label = RandomCrop([20, 30])(*pair, random)
        assert image.shape == (20, 30, 3)
        np.testing.assert_array_equal(image[..., 0], 10 * label)
        starts.add(label.tobytes())
    assert len(starts) > 20
    image, label = RandomCrop([200, 30])(*pair, random)
    assert image.shape == (60, 30, 3) and label.shape == (60, 30)


def test_crop_reaches_both_borders():
    label = np.arange(5, dtype=np.uint8)[None].repeat(5, 0)
    image = np.repeat(label[..., None], 3, -1)
    seen = {int(RandomCrop([5, 2])(image, label, np.random.default_rng(seed))[1][0, 0]) for seed in range(60)}
    assert seen == {0, 1, 2, 3}


def test_max_class_share_draws_again_but_not_for_ever():
    label = np.zeros((40, 40), np.uint8)
    label[:, 20:] = 1
    label[:5] = IGNORE
    image = np.zeros((40, 40, 3), np.uint8)
    varied = 0
    for seed in range(50):
        _, crop = RandomCrop([10, 10], max_class_share=0.75)(image, label, np.random.default_rng(seed))
        counts = np.bincount(crop[crop != IGNORE], minlength=2)
        varied += counts.max() <= 0.75 * counts.sum()
    assert varied >= 35  # one draw alone is varied in about one of six cases
    _, crop = RandomCrop([10, 10], 0.5)(image, np.zeros_like(label), np.random.default_rng(0))
    assert crop.shape == (10, 10)


def test_flip_mirrors_both(pair, random):
    image, label = RandomFlip(1.0)(*pair, random)
    np.testing.assert_array_equal(image, pair[0][:, ::-1])
    np.testing.assert_array_equal(label, pair[1][:, ::-1])
    assert RandomFlip(0.0)(*pair, random)[0] is pair[0]
    share = np.mean([RandomFlip(0.3)(*pair, random)[0] is not pair[0] for _ in range(500)])
    assert 0.22 < share < 0.38


def test_pad_uses_the_mean_color_and_ignore(pair, random):
    image, label = Pad([70, 80], [123.675, 116.28, 103.53])(*pair, random)
    assert image.shape == (70, 80, 3)
    np.testing.assert_array_equal(image[60:], np.broadcast_to([124, 116, 104], (10, 80, 3)))
    assert (label[60:] == IGNORE).all()
    np.testing.assert_array_equal(label[:60], pair[1])
    normalized, _ = Normalize([124, 116, 104], [1, 1, 1])(image, label, random)
    assert (normalized[:, 60:] == 0).all()


def test_normalize_numbers(random):
    image = random.integers(0, 256, (7, 9, 3)).astype(np.uint8)
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    planes, _ = Normalize(mean, std)(image, None, random)
    expected = ((image - np.array(mean)) / np.array(std)).transpose(2, 0, 1)
    assert planes.dtype == np.float32
    np.testing.assert_allclose(planes, expected, atol=1e-6)


def test_photometric_distortion_changes_colors_only(pair, random):
    images = [PhotometricDistortion()(*pair, random) for _ in range(40)]
    assert all(label is pair[1] for _, label in images)
    assert all(image.dtype == np.uint8 and image.shape == pair[0].shape for image, _ in images)
    assert len({image.tobytes() for image, _ in images}) > 25
    none = PhotometricDistortion(brightness=0, contrast=0, saturation=0, hue=0)
    np.testing.assert_array_equal(none(*pair, random)[0], pair[0])


def test_photometric_brightness_contrast_and_hue_act_as_described():
    gray = np.full((4, 4, 3), 100, np.uint8)
    values = {
        int(PhotometricDistortion(32, 0, 0, 0)(gray, None, np.random.default_rng(seed))[0][0, 0, 0])
        for seed in range(200)
    }
    assert min(values) >= 68 and max(values) <= 132 and len(values) > 30
    values = {
        int(PhotometricDistortion(0, 0.5, 0, 0)(gray, None, np.random.default_rng(seed))[0][0, 0, 0])
        for seed in range(200)
    }
    assert min(values) >= 50 and max(values) <= 150 and len(values) > 30
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    turned = [PhotometricDistortion(0, 0, 0, 18)(red, None, np.random.default_rng(seed))[0] for seed in range(50)]
    assert all(image[0, 0].argmax() == 0 for image in turned)  # 18 degrees do not leave red
    assert any(image[0, 0, 1] > 20 for image in turned) and any(image[0, 0, 2] > 20 for image in turned)


def test_same_seed_same_result(pair, data_config):
    data = data_config("x")
    transforms = build_transforms(data.train_transforms, data, "train_transforms")
    first, second, third = (transforms(*pair, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert (first[0] != third[0]).any()


def test_order_is_that_of_the_config_and_normalize_comes_last(data_config):
    data = data_config("x", train_transforms=[{"name": "pad"}, {"name": "random_flip"}, {"name": "normalize"}])
    built = build_transforms(data.train_transforms, data, "train_transforms").transforms
    assert [type(transform) for transform in built] == [Pad, RandomFlip, Normalize]
    for names in (["normalize", "pad"], ["pad"], ["normalize", "normalize"]):
        data = data_config("x", train_transforms=[{"name": name} for name in names])
        with pytest.raises(UserError, match="data.train_transforms: expected normalize once, as the last"):
            build_transforms(data.train_transforms, data, "train_transforms")
