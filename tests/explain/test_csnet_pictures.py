"""The picture of C-S Net's inside, on made-up features."""

import cv2
import numpy as np
import pytest

from src.explain import csnet
from src.explain.subject import Subject


def test_similarity_is_the_cosine_to_the_position_of_the_pixel():
    features = np.random.default_rng(0).standard_normal((5, 3, 4))
    found = csnet.similarity_to(features, (2, 1))
    chosen = features[:, 2, 1]
    lengths = np.linalg.norm(features, axis=0) * np.linalg.norm(chosen)
    np.testing.assert_allclose(found, np.einsum("dhw,d->hw", features, chosen) / lengths, rtol=1e-12)
    assert found[2, 1] == pytest.approx(1.0)


def test_zero_features_have_no_direction():
    assert not csnet.similarity_to(np.zeros((5, 3, 4)), (0, 0)).any()


def test_picture_is_written(tmp_path):
    features = np.random.default_rng(0).standard_normal((1, 5, 3, 4)).astype(np.float32)
    image = np.full((30, 40, 3), 100, np.uint8)
    written = csnet.draw({"consistent": features}, Subject(image, [], [], (29, 10), tmp_path / "new", "photo"))
    assert written == [tmp_path / "new" / f"photo_{name}.png" for name in csnet.PICTURES]
    assert cv2.imread(str(written[0])).std() > 0


def test_pixel_is_found_in_a_coarser_map():
    subject = Subject(np.zeros((30, 40, 3), np.uint8), [], [], (29, 10), None, "photo")
    assert subject.place(3, 4) == (2, 1)
