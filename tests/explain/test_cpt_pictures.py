"""The pictures of CPT's inside, on random arrays."""

import cv2
import numpy as np

from src.explain import cpt
from src.explain.subject import Subject

CLASSES = ["sky", "road", "car"]
COLORS = [[0, 0, 200], [120, 120, 120], [200, 0, 0]]
IMAGE = np.full((40, 60, 3), 100, np.uint8)
CENTER = (20, 30)


def arrays(seen=(4, 0, 2)):
    generator = np.random.default_rng(0)
    attention = generator.random((1, 10, 15, 3)).astype(np.float32)
    return {
        "assignment_2": np.array([[[0, 1, 2], [2, 1, 0]]], np.int32),
        "attention_2": attention / attention.sum(-1, keepdims=True),
        "memory_2": generator.standard_normal((3, 8)).astype(np.float32),
        "updates_2": np.array(seen, np.int32),
    }


def read(path):
    return cv2.imread(str(path))[..., ::-1]


def test_every_array_becomes_a_picture(tmp_path):
    written = cpt.draw(arrays(), Subject(IMAGE, CLASSES, COLORS, CENTER, tmp_path / "new", "photo"))
    assert [p.name for p in written] == ["photo_assignment_2.png", "photo_attention_2.png", "photo_memory_2.png"]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(p.name for p in written)
    assert all(read(path).std() > 0 for path in written)


def test_assignment_has_the_colors_of_the_classes(tmp_path):
    cpt.draw(arrays(), Subject(IMAGE, CLASSES, COLORS, CENTER, tmp_path, "photo"))
    drawn = read(tmp_path / "photo_assignment_2.png")
    assert drawn.shape == IMAGE.shape
    for row, column, label in ((5, 5, 0), (5, 30, 1), (5, 55, 2), (35, 5, 2)):
        np.testing.assert_allclose(drawn[row, column], 0.4 * 100 + 0.6 * np.array(COLORS[label]), atol=1)


def test_attention_is_of_the_pixel_and_sorted(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(cpt, "save_figure", lambda figure, path: figures.append(figure))
    values = arrays()
    for pixel, place in ((CENTER, (5, 7)), ((39, 0), (9, 0))):
        figures.clear()
        cpt.draw({"attention_2": values["attention_2"]}, Subject(IMAGE, CLASSES, COLORS, pixel, tmp_path, "photo"))
        _, chart = figures[0].axes
        weights = values["attention_2"][0][place]
        order = np.argsort(-weights)
        np.testing.assert_allclose([bar.get_width() for bar in chart.patches], weights[order])
        assert [text.get_text() for text in chart.get_yticklabels()] == [CLASSES[k] for k in order]
        np.testing.assert_allclose([bar.get_facecolor()[:3] for bar in chart.patches], np.array(COLORS)[order] / 255)


def test_memory_shows_cosines_of_the_classes_seen(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(cpt, "draw_matrix", lambda path, values, names, *rest: drawn.append((values, names)))
    values = {name: value for name, value in arrays().items() if name in ("memory_2", "updates_2")}
    cpt.draw(values, Subject(IMAGE, CLASSES, COLORS, CENTER, tmp_path, "photo"))
    ((matrix, names),) = drawn
    a, b = values["memory_2"][0].astype(float), values["memory_2"][2].astype(float)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    np.testing.assert_allclose(matrix, [[1, cosine], [cosine, 1]], atol=1e-6)
    assert names == ["sky", "car"]


def test_an_empty_memory_has_no_picture(tmp_path):
    written = cpt.draw(arrays(seen=(0, 0, 0)), Subject(IMAGE, CLASSES, COLORS, CENTER, tmp_path, "photo"))
    assert [p.name for p in written] == ["photo_assignment_2.png", "photo_attention_2.png"]


def test_many_classes_can_be_drawn(tmp_path):
    generator = np.random.default_rng(0)
    many = {
        "attention_0": generator.random((1, 4, 4, 150)),
        "memory_0": generator.random((150, 8)),
        "updates_0": np.ones(150, int),
    }
    names, colors = [f"class {k}" for k in range(150)], [[k, k, k] for k in range(150)]
    assert len(cpt.draw(many, Subject(IMAGE, names, colors, CENTER, tmp_path, "many"))) == 2
