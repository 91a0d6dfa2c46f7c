"""Distances of features within and between classes against a direct computation over all pixels at once."""

import json

import numpy as np
import pytest

from src.errors import UserError
from src.metrics.separability import measure_features, principal_components
from tests.models.reference import majority

CLASSES = ["sky", "road", "car", "train"]


def samples(count=4, ignored=0.2):
    """Images of two sizes, three channels; the label knows no train and, in the first image, no car."""
    random = np.random.default_rng(0)
    for index in range(count):
        height, width = (20, 31) if index % 2 else (16, 24)
        blocks = random.integers(0, 2 if index == 0 else 3, (5, 8)).astype(np.int32)
        label = np.kron(blocks, np.ones((4, 4), np.int32))[:height, :width]
        image = random.standard_normal((1, 3, height, width)).astype(np.float32)
        image[0] += np.array([[3, 0, 0], [0, 3, 0], [0, 2, 2]], np.float32)[label].transpose(2, 0, 1)
        label[random.random(label.shape) < ignored] = 255
        yield image, label, f"image{index}.jpg"


def runner(image):
    """The image at a fourth of its size."""
    return image[:, :, ::4, ::4]


def all_pixels():
    """Features [P, 3] and classes [P] of all images together."""
    features, ids = [], []
    for image, label, _ in samples():
        small = runner(image)[0].astype(np.float64)
        near = majority(label[None], small.shape[1:], len(CLASSES), 0.75)[0]
        features.append(small[:, near != 255].T)
        ids.append(near[near != 255])
    return np.concatenate(features), np.concatenate(ids)


def measure(distance, **options):
    return measure_features(runner, list(samples()), CLASSES, distance, "some.ckpt", **options)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_equals_the_direct_computation(distance):
    def length(x):
        return np.linalg.norm(x, axis=-1, keepdims=True)

    features, ids = all_pixels()
    if distance == "cosine":
        features = features / length(features)
    centers = np.stack([features[ids == c].mean(0) for c in range(3)])
    if distance == "cosine":
        centers /= length(centers)
        intra = [np.mean(1 - features[ids == c] @ centers[c]) for c in range(3)]
        between = 1 - centers @ centers.T
    else:
        intra = [length(features[ids == c] - centers[c]).mean() for c in range(3)]
        between = length(centers[:, None] - centers[None])[..., 0]
    inter = (between[0, 1] + between[0, 2] + between[1, 2]) / 3
    report = measure(distance)
    np.testing.assert_array_equal(report.pixels, np.bincount(ids, minlength=4))
    np.testing.assert_allclose(report.intra[:3], intra, rtol=1e-9)
    np.testing.assert_allclose(report.between[:3, :3], between, atol=1e-9)
    totals = report.totals()
    assert totals["intra"] == pytest.approx(np.mean(intra))
    assert totals["inter"] == pytest.approx(inter)
    assert totals["ratio"] == pytest.approx(np.mean(intra) / inter)


def test_report_and_table(tmp_path):
    report = measure("cosine")
    report.write(tmp_path / "feature_report.json")
    found = json.loads((tmp_path / "feature_report.json").read_text())
    assert found["absent_classes"] == ["train"]
    assert list(found["per_class"]) == CLASSES[:3]
    assert found["per_class"]["car"]["nearest"] == "road" and found["per_class"]["road"]["nearest"] == "car"
    assert found["per_class"]["car"]["nearest_distance"] == pytest.approx(report.between[2, 1])
    assert (found["images"], found["channels"], found["weights"]) == (4, 3, "some.ckpt")
    lines = report.table().splitlines()
    assert [line.split()[0] for line in lines[1:4]] == CLASSES[:3]
    assert f"ratio {found['ratio']:.4f}" in lines[-1] and "3 of 4 classes" in lines[-1]


def test_one_class_has_no_neighbor():
    one = [(image, np.where(label == 255, 255, 1), name) for image, label, name in samples()]
    report = measure_features(runner, one, CLASSES, "euclidean", "x")
    assert report.totals()["inter"] is report.totals()["ratio"] is None
    assert report.report()["per_class"]["road"]["nearest"] is None
    assert "ratio -" in report.table()


def test_sample_is_bounded_seeded_and_fair():
    features, ids = all_pixels()
    report, again, other = (measure("euclidean", sample=40, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(np.bincount(report.sample_ids), [10, 10, 10])
    np.testing.assert_array_equal(report.sample, again.sample)
    assert not np.array_equal(report.sample, other.sample)
    for pixel, index in zip(report.sample, report.sample_ids, strict=True):
        assert (np.abs(features[ids == index] - pixel).max(1) < 1e-6).any()
    whole = measure("euclidean", sample=100_000)
    assert len(whole.sample) == len(features)


def test_principal_components_are_those_of_the_singular_values():
    features = np.random.default_rng(0).standard_normal((50, 6)) * [5, 1, 3, 1, 1, 1]
    points, shares = principal_components(features)
    _, lengths, directions = np.linalg.svd(features - features.mean(0), full_matrices=False)
    expected = (features - features.mean(0)) @ directions[:2].T
    np.testing.assert_allclose(np.abs(points), np.abs(expected), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(shares, lengths[:2] ** 2 / (lengths**2).sum())


def test_nothing_to_measure_and_divergence_are_named():
    with pytest.raises(UserError, match="without a labeled pixel"):
        measure_features(runner, samples(ignored=1.1), CLASSES, "cosine", "x")
    with pytest.raises(UserError, match=r"image image0\.jpg: the features are not finite"):
        measure_features(lambda image: image * np.nan, samples(), CLASSES, "cosine", "x")
