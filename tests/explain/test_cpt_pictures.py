"""The pictures of CPT's inside, on random arrays."""

import cv2
import numpy as np

from src.explain import cpt
from src.explain.subject import Subject

CLASSES = ["sky", "road", "car"]
COLORS = [[0, 0, 200], [120, 120, 120], [200, 0, 0]]
IMAGE = np.full((40, 60, 3), 100, np.uint8)
CENTER = (20, 30)


def arrays():
    generator = np.random.default_rng(0)
    found = {}
    for level, (height, width) in enumerate(((10, 15), (5, 8), (3, 4))):
        attention = generator.random((1, height, width, 3)).astype(np.float32)
        found[f"mask_{level}"] = generator.standard_normal((1, 3, -(-height // 2), -(-width // 2))).astype(np.float32)
        found[f"attention_{level}"] = attention / attention.sum(-1, keepdims=True)
        found[f"memory_{level}"] = generator.standard_normal((3, 8)).astype(np.float32)
    return found


def subject(folder, pixel=CENTER):
    return Subject(IMAGE, CLASSES, COLORS, pixel, folder, "photo")


def test_every_block_has_its_pictures(tmp_path):
    written = cpt.draw(arrays(), subject(tmp_path / "new"))
    expected = ["photo_masks.png", *[f"photo_{kind}_{i}.png" for i in (2, 1, 0) for kind in ("attention", "memory")]]
    assert [path.name for path in written] == expected == [f"photo_{name}.png" for name in cpt.PICTURES]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(expected)
    assert all(cv2.imread(str(path)).std() > 0 for path in written)


def test_what_a_decoder_does_not_have_is_not_drawn(tmp_path):
    masks = {name: values for name, values in arrays().items() if name.startswith("mask")}
    assert [path.name for path in cpt.draw(masks, subject(tmp_path))] == ["photo_masks.png"]


def test_masks_are_named_by_the_level_of_their_map(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(cpt, "draw_masks", lambda path, masks, *rest: drawn.append(masks))
    values = arrays()
    cpt.draw(values, subject(tmp_path))
    assert list(drawn[0]) == [3, 2, 1]
    np.testing.assert_array_equal(drawn[0][3], values["mask_2"][0])


def test_attention_is_of_the_pixel_and_sorted(tmp_path, monkeypatch):
    figures = {}
    monkeypatch.setattr(cpt, "save_figure", lambda figure, path: figures.update({path.stem: figure}))
    monkeypatch.setattr(cpt, "draw_masks", lambda *arguments: None)
    values = arrays()
    for pixel, place in ((CENTER, (5, 7)), ((39, 0), (9, 0))):
        cpt.draw(values, subject(tmp_path, pixel))
        _, chart = figures["photo_attention_0"].axes
        weights = values["attention_0"][0][place]
        order = np.argsort(-weights)
        np.testing.assert_allclose([bar.get_width() for bar in chart.patches], weights[order])
        assert [text.get_text() for text in chart.get_yticklabels()] == [CLASSES[k] for k in order]
        np.testing.assert_allclose([bar.get_facecolor()[:3] for bar in chart.patches], np.array(COLORS)[order] / 255)


def test_memory_shows_cosines(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(cpt, "draw_matrix", lambda path, values, names, *rest: drawn.append((values, names)))
    values = arrays()
    cpt.draw(values, subject(tmp_path))
    matrix, names = drawn[0]
    memory = values["memory_2"].astype(float)
    unit = memory / np.linalg.norm(memory, axis=1)[:, None]
    np.testing.assert_allclose(matrix, unit @ unit.T, atol=1e-6)
    assert names == CLASSES


def test_many_classes_can_be_drawn(tmp_path):
    generator = np.random.default_rng(0)
    many = {f"mask_{level}": generator.standard_normal((1, 150, 4, 4)) for level in range(3)}
    many |= {"attention_0": generator.random((1, 4, 4, 150)), "memory_0": generator.random((150, 8))}
    names, colors = [f"class {k}" for k in range(150)], [[k, k, k] for k in range(150)]
    assert len(cpt.draw(many, Subject(IMAGE, names, colors, CENTER, tmp_path, "many"))) == 3
