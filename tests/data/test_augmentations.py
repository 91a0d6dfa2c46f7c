"""What every transform keeps to, found by its name in the schema, and the numbers of the augmentations."""

from typing import get_args

import cv2
import numpy as np
import pytest

from src.config import load_config
from src.data.info import IGNORE
from src.data.transforms import (
    ClassBalancedCrop,
    CoarseDropout,
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    RandomGray,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    build_transforms,
)
from src.errors import UserError
from src.schema.transforms import TransformConfig

MEAN = [123.675, 116.28, 103.53]
COLOR = [124, 116, 104]
SHARES = [0.7, 0.2, 0.05, 0.04, 0.01]
SECTIONS = {
    get_args(section.model_fields["name"].annotation)[0]: section for section in get_args(get_args(TransformConfig)[0])
}
NAMES = [name for name in SECTIONS if name != "normalize"]
NEEDED = {"resize": {"size": [37, 50]}}  # options without a default
ALWAYS = {name: {"probability": 1.0} for name in NAMES if "probability" in SECTIONS[name].model_fields}
SIZES = [(60, 80), (33, 200), (200, 21), (1, 1), (2, 3)]


@pytest.fixture
def build(data_config):
    """A function from a transform's name and options to the transform."""

    def make(name, **options):
        entry = {"name": name, **NEEDED.get(name, {}), **options}
        data = data_config("x", train_transforms=[entry, {"name": "normalize"}])
        return build_transforms(data.train_transforms, data, "train_transforms", SHARES).transforms[0]

    return make


def pair(size=(60, 80), seed=1):
    """Smooth blobs of classes 0..4 and of ignored pixels, and an image whose red channel is 10 times the class."""
    noise = np.random.default_rng(seed).random((3, 4)).astype(np.float32)
    label = (cv2.resize(noise, size[::-1]) * 6).clip(0, 5).astype(np.uint8)
    image = np.full((*size, 3), 7, np.uint8)
    image[..., 0] = 10 * label
    return image, np.where(label == 5, np.uint8(IGNORE), label)


def rng(seed=0):
    return np.random.default_rng(seed)


# ------------------------------------------------------------------------------------- what all keep to
@pytest.mark.parametrize("name", NAMES)
def test_image_and_label_keep_their_kind_and_no_class_comes_up(build, name):
    transform = build(name, **ALWAYS.get(name, {}))
    for size in SIZES:
        for seed in range(12):
            image, label = pair(size, seed)
            changed, ids = transform(image, label, rng(seed))
            assert changed.dtype == ids.dtype == np.uint8
            assert changed.shape == (*ids.shape, 3)
            assert min(ids.shape) >= 1
            assert set(np.unique(ids)) <= {*np.unique(label), IGNORE}


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_result_and_what_came_in_stays(build, name):
    transform = build(name, **ALWAYS.get(name, {}))
    image, label = pair()
    before = image.copy(), label.copy()
    first, second = transform(image, label, rng(3)), transform(image, label, rng(3))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(label, before[1])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("pad", "resize")])
def test_seeds_differ(build, name):
    transform = build(name, **ALWAYS.get(name, {}))
    image = rng(7).integers(0, 256, (60, 80, 3), np.uint8)
    _, label = pair()
    results = {transform(image, label, rng(seed))[0].tobytes() for seed in range(10)}
    assert len(results) == (1 if name in ("random_flip", "random_vertical_flip", "random_gray") else 10)


@pytest.mark.parametrize("name", ALWAYS)
def test_probability_0_is_the_identity_and_shares_are_kept(build, name):
    image, label = pair()
    changed, ids = build(name, probability=0.0)(image, label, rng())
    assert changed is image and ids is label
    transform = build(name, probability=0.3)
    share = np.mean([transform(image, label, rng(seed))[0] is not image for seed in range(400)])
    assert 0.22 < share < 0.38


@pytest.mark.parametrize("name", NAMES)
def test_without_a_label(build, name):
    image, _ = pair()
    assert build(name, **ALWAYS.get(name, {}))(image, None, rng())[1] is None


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("random_rotation", "degrees", 200),
        ("random_resized_crop", "scale", [0.5, 1.2]),
        ("random_resized_crop", "ratio", [2.0, 0.5]),
        ("gaussian_blur", "sigma", [0.0, 1.0]),
        ("coarse_dropout", "holes", [3, 1]),
        ("color_jitter", "hue", 0.6),
    ],
)
def test_values_out_of_range_are_refused_by_key(small_config, name, option, value):
    override = f"data.train_transforms=[{{name: {name}, {option}: {value}}}, {{name: normalize}}]"
    with pytest.raises(UserError, match=rf"data\.train_transforms\[0\]\.{option}"):
        load_config(small_config, [override])


# ----------------------------------------------------------------------------------------------- geometry
def test_vertical_flip():
    image, label = pair()
    flipped, ids = RandomVerticalFlip(1.0)(image, label, rng())
    np.testing.assert_array_equal(flipped, image[::-1])
    np.testing.assert_array_equal(ids, label[::-1])


def inside(label):
    """Pixels away from the edges between classes and of the image."""
    framed = cv2.copyMakeBorder(label, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=100)
    return cv2.morphologyEx(framed, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8))[1:-1, 1:-1] == 0


@pytest.mark.parametrize("degrees", [10, 180])
def test_rotation_keeps_image_and_label_aligned(degrees):
    for seed in range(20):
        image, label = pair(seed=seed)
        image, label = RandomRotation(MEAN, degrees, 1.0)(image, label, rng(seed))
        classes = inside(label) & (label != IGNORE)
        np.testing.assert_allclose(image[..., 0][classes], 10.0 * label[classes], atol=1)


def test_rotation_by_a_quarter_is_exact_and_its_border_is_ignored():
    class Quarter:
        def random(self):
            return 0.0

        def uniform(self, low, high):
            return 90.0

    image = rng().integers(0, 256, (41, 41, 3), np.uint8)
    label = rng().integers(0, 4, (41, 41), np.uint8)
    turned, ids = RandomRotation(MEAN, 90, 1.0)(image, label, Quarter())
    np.testing.assert_array_equal(turned, np.rot90(image))
    np.testing.assert_array_equal(ids, np.rot90(label))
    turned, ids = RandomRotation(MEAN, 90, 1.0)(image[:21], label[:21], Quarter())
    assert (ids[:, :9] == IGNORE).all() and (turned[:, :9] == COLOR).all()
    np.testing.assert_array_equal(ids[:, 10:31], np.rot90(label[:21])[10:31])


# -------------------------------------------------------------------------------------------------- crops
def test_resized_crop_is_a_window_of_the_drawn_area_and_ratio():
    rows, columns = np.mgrid[:100, :150]
    image = np.stack([rows, columns, rows], -1).astype(np.uint8)
    shares, ratios = [], []
    for seed in range(300):
        changed, _ = RandomResizedCrop([64, 64], [0.2, 0.6], [0.5, 2.0])(image, None, rng(seed))
        assert changed.shape == (64, 64, 3)
        height = (int(changed[-1, 0, 0]) - int(changed[0, 0, 0])) * 64 / 63
        width = (int(changed[0, -1, 1]) - int(changed[0, 0, 1])) * 64 / 63
        shares.append(height * width / 15_000)
        ratios.append(width / height)
    assert 0.16 < min(shares) < 0.25 and 0.55 < max(shares) < 0.65
    assert 0.45 < min(ratios) < 0.6 and 1.7 < max(ratios) < 2.2


def test_resized_crop_of_an_image_that_no_window_fits_is_the_middle():
    image = np.zeros((10, 400, 3), np.uint8)
    image[:, 195:205] = 200
    changed, _ = RandomResizedCrop([20, 20], [1.0, 1.0], [1.0, 1.0])(image, None, rng())
    assert (changed == 200).all()


def scene():
    """Class 0 everywhere but for 4 pixels of class 1 and one of class 4; the first rows are ignored."""
    label = np.zeros((90, 120), np.uint8)
    label[:10] = IGNORE
    label[50:52, 100:102] = 1
    label[88, 3] = 4
    return np.repeat(label[..., None], 3, -1), label


def test_class_balanced_crop_holds_a_class_drawn_alike():
    image, label = scene()
    transform = ClassBalancedCrop([16, 20], SHARES, rarity=0)
    found, places = [], set()
    for seed in range(300):
        crop, ids = transform(image, label, rng(seed))
        assert ids.shape == (16, 20)
        np.testing.assert_array_equal(crop[..., 0], ids)
        found.append({1, 4} & {*ids.ravel().tolist()})
        if 1 in ids:
            places.add(tuple(np.argwhere(ids == 1)[0]))
    assert 0.25 < np.mean([1 in one for one in found]) < 0.42
    assert 0.25 < np.mean([4 in one for one in found]) < 0.42
    assert len(places) > 60  # of about 300: the pixel is anywhere in the crop


def test_class_balanced_crop_prefers_rare_classes():
    image, label = scene()
    shares = [0.9, 0.09, 0, 0, 0.01]
    share = {1: np.sqrt(1 / 0.9), 2: np.sqrt(1 / 0.09), 3: np.sqrt(1 / 0.01)}
    expected = np.array([*share.values()]) / sum(share.values())
    draws = [ClassBalancedCrop([8, 8], shares)(image, label, rng(seed))[1] for seed in range(500)]
    assert np.mean([4 in ids for ids in draws]) == pytest.approx(expected[2], abs=0.07)
    assert np.mean([1 in ids for ids in draws]) == pytest.approx(expected[1], abs=0.07)


def test_class_balanced_crop_without_a_class_is_any_crop():
    image, label = scene()
    crops = {ClassBalancedCrop([5, 5], SHARES)(image[:10], label[:10], rng(s))[0].shape for s in range(5)}
    assert crops == {(5, 5, 3)}
    image = np.arange(100, dtype=np.uint8).reshape(10, 10, 1).repeat(3, -1)
    empty = np.full((10, 10), IGNORE, np.uint8)
    corners = {int(ClassBalancedCrop([9, 9], SHARES)(image, empty, rng(s))[0][0, 0, 0]) for s in range(50)}
    assert corners == {0, 1, 10, 11}


def test_training_gives_the_shares_of_its_split(records, data_config):
    from src.data.pipeline import TrainPipeline

    transforms = [{"name": "class_balanced_crop", "rarity": 1.0}, {"name": "pad"}, {"name": "normalize"}]
    pipeline = TrainPipeline(records, "train", data_config(records, train_transforms=transforms), 2, 0)
    weights = pipeline.transforms.transforms[0].weights
    np.testing.assert_allclose(1 / weights, [1 / 3] * 3, atol=0.02)
    image, label = next(pipeline.batches())
    assert image.shape == (2, 3, 32, 32) and label.shape == (2, 32, 32)


# -------------------------------------------------------------------------------------------------- color
def gray(image):
    return image @ np.array([0.299, 0.587, 0.114])


def noise_image():
    """Colors far enough from 0 and 255 for nothing to be clipped."""
    return rng().integers(90, 160, (40, 50, 3)).astype(np.uint8)


def test_brightness_is_a_factor():
    image = noise_image()
    for seed in range(20):
        changed, _ = ColorJitter(0.5, 0, 0, 0, 1.0)(image, None, rng(seed))
        factor = changed.mean() / image.mean()
        assert 0.49 < factor < 1.51
        np.testing.assert_allclose(changed, image * factor, atol=1)


def test_contrast_keeps_the_mean_gray_and_scales_the_distance_from_it():
    image = noise_image()
    for seed in range(20):
        changed, _ = ColorJitter(0, 0.5, 0, 0, 1.0)(image, None, rng(seed))
        assert gray(changed).mean() == pytest.approx(gray(image).mean(), abs=0.6)
        assert 0.48 < changed.std() / image.std() < 1.52


def test_saturation_and_hue_keep_every_gray():
    image = noise_image()
    for transform in (ColorJitter(0, 0, 0.5, 0, 1.0), ColorJitter(0, 0, 0, 0.5, 1.0)):
        for seed in range(20):
            changed, _ = transform(image, None, rng(seed))
            np.testing.assert_allclose(gray(changed), gray(image), atol=1)
    colorless, _ = ColorJitter(0, 0, 1.0, 0, 1.0)(image, None, Lowest())
    np.testing.assert_allclose(colorless, gray(image)[..., None].repeat(3, -1), atol=1)


class Lowest:
    """Draws the lowest value of every range."""

    def random(self):
        return 0.0

    def uniform(self, low, high):
        return low


def test_half_a_turn_of_the_hue_gives_the_opposite_color():
    image = noise_image()
    turned, _ = ColorJitter(0, 0, 0, 0.5, 1.0)(image, None, Lowest())
    np.testing.assert_allclose(turned + image.astype(float), 2 * gray(image)[..., None].repeat(3, -1), atol=2)


def test_gray_has_three_equal_channels():
    image = rng().integers(0, 256, (20, 30, 3)).astype(np.uint8)
    changed, _ = RandomGray(1.0)(image, None, rng())
    assert (changed == changed[..., :1]).all()
    np.testing.assert_allclose(changed[..., 0], gray(image), atol=1)


def test_blur_has_the_drawn_width():
    image = np.zeros((61, 61, 3), np.uint8)
    image[30] = 255  # a line
    for sigma in (1.0, 2.0, 4.0):
        changed, _ = GaussianBlur([sigma, sigma], 1.0)(image, None, rng())
        profile = changed[:, 30, 0] / changed[:, 30, 0].sum()
        assert np.sqrt((profile * (np.arange(61) - 30) ** 2).sum()) == pytest.approx(sigma, rel=0.1)


def test_noise_has_the_drawn_size_and_differs_between_channels():
    image = np.full((100, 100, 3), 128, np.uint8)
    changed, _ = GaussianNoise([6.0, 6.0], 1.0)(image, None, rng())
    added = changed.astype(float) - 128
    assert added.std() == pytest.approx(6, rel=0.05) and abs(added.mean()) < 0.2
    assert abs(np.corrcoef(added[..., 0].ravel(), added[..., 1].ravel())[0, 1]) < 0.05


# ------------------------------------------------------------------------------------------------ filling
@pytest.mark.parametrize("ignore", [False, True])
def test_holes_have_the_mean_color_and_the_drawn_sides(ignore):
    image = np.zeros((100, 200, 3), np.uint8)
    label = np.ones((100, 200), np.uint8)
    for seed in range(30):
        changed, ids = CoarseDropout(MEAN, [1, 1], [0.1, 0.3], [0.4, 0.5], ignore, 1.0)(image, label, rng(seed))
        hole = changed[..., 0] != 0
        rows, columns = np.nonzero(hole.any(1))[0], np.nonzero(hole.any(0))[0]
        assert 10 <= len(rows) <= 30 and 80 <= len(columns) <= 100
        assert hole.sum() == len(rows) * len(columns)
        assert (changed[hole] == COLOR).all()
        np.testing.assert_array_equal(ids, np.where(hole, IGNORE, 1) if ignore else label)
    counts = {cv2.connectedComponents((CoarseDropout(MEAN, [2, 4], [0.05, 0.05], [0.02, 0.02], False, 1.0)(
        image, label, rng(s))[0][..., 0] != 0).astype(np.uint8))[0] - 1 for s in range(60)}  # fmt: skip
    assert {2, 3, 4} <= counts <= {1, 2, 3, 4}  # two that touch count as one
