"""Data sets as data, and the label map of a user's own set."""

import pytest

from src.data.catalog import load_dataset_info
from src.data.folders import list_samples, list_splits
from src.data.info import IGNORE
from src.errors import UserError
from tests.data.conftest import write_pair


@pytest.mark.parametrize("name", ["camvid", "shapes"])
def test_each_class_has_one_color_and_a_raw_value(name):
    info = load_dataset_info(name)
    assert len(info.classes) == len(set(info.classes)) == len(info.colors) == len(set(info.colors))
    assert set(info.label_map.values()) == {*range(len(info.classes)), IGNORE}


@pytest.mark.parametrize(
    "layout", [("images/val", "annotations/val"), ("val", "valannot"), ("CamVid/val", "CamVid/valannot")]
)
def test_both_layouts_of_camvid_are_found(tmp_path, layout):
    for name in ("b", "a"):
        write_pair(tmp_path, "val", name, suffix=".png", layout=layout)
    info = load_dataset_info("camvid")
    assert [sample.name for sample in list_samples(info, tmp_path, "val")] == ["a", "b"]
    assert list_splits(info, tmp_path) == ["val"]


def test_names_alone_are_the_raw_values(tmp_path):
    (tmp_path / "classes.yaml").write_text("classes: [road, car]\n")
    info = load_dataset_info("folder", tmp_path)
    assert info.classes == ("road", "car")
    assert info.label_map == {0: 0, 1: 1, 255: IGNORE}
    assert info.colors[0] != info.colors[1]


def test_raw_values_colors_and_ignored_values(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "classes:\n  - {name: road, raw: [7, 8], color: [1, 2, 3]}\n  - {name: car, raw: 26}\nignore: [0, 255]\n"
    )
    info = load_dataset_info("folder", classes_file=path)
    assert info.label_map == {7: 0, 8: 0, 26: 1, 0: IGNORE, 255: IGNORE}
    assert info.colors[0] == (1, 2, 3)


@pytest.mark.parametrize(
    ("text", "label_map"),
    [
        ("classes: [road, {name: crack, raw: 255}]", {0: 0, 255: 1}),
        ("classes: [road, {name: crack, raw: 255}]\nignore: []", {0: 0, 255: 1}),
        ("classes: [road, {name: crack, raw: [255, 254]}]\nignore: [9]", {0: 0, 255: 1, 254: 1, 9: IGNORE}),
        ("classes: [{name: road, color: [1, 2, 3]}, crack]", {0: 0, 1: 1, 255: IGNORE}),
        ("classes: [{name: road, raw: 7}, crack, {name: tree}]\nignore: 0", {7: 0, 1: 1, 2: 2, 0: IGNORE}),
        ("classes: [road, crack]\nignore: []", {0: 0, 1: 1}),
    ],
)
def test_names_and_mappings_may_be_mixed(tmp_path, text, label_map):
    (tmp_path / "classes.yaml").write_text(text)
    assert load_dataset_info("folder", tmp_path).label_map == label_map


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("classes: [a, {name: b, raw: 255}]\nignore: [255]", "raw value 255 is also that of class b"),
        ("classes: [{name: a, raw: 1}, b]", "raw value 1 is given to a and to b"),
        ("classes: [a]", "2 to 255 classes"),
        ("clases: [a, b]", "did you mean 'classes'"),
        ("classes: [a, a]", "'a' is given twice"),
        ("classes: [{name: a, raw: 3}, {name: b, raw: 3}]", "raw value 3 is given to a and to b"),
        ("classes: [{name: a, rav: 3}, b]", "did you mean 'raw'"),
        ("classes: [{raw: 3}, b]", "classes[0]: expected a name"),
        ("classes: [{name: a, color: [1, 2]}, b]", "color: expected"),
        ("classes: [{name: a, raw: x}, b]", "raw: expected label values"),
        ("classes: [a, b]\nignore: [1]", "raw value 1 is also that of class b"),
        ("classes: [a, b]\nignore: [x]", "ignore: expected raw label values"),
        ("- a", "expected keys classes"),
        ("classes: [", "not a YAML file"),
    ],
)
def test_mistakes_in_the_classes_file_are_named(tmp_path, text, piece):
    path = tmp_path / "classes.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_dataset_info("folder", tmp_path)
    assert str(path) in str(caught.value)
    assert piece in str(caught.value)


def test_missing_classes_file_shows_how_to_write_one(tmp_path):
    with pytest.raises(UserError, match=r"classes: \[background, road, car\]"):
        load_dataset_info("folder", tmp_path)


def test_unknown_data_set_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'camvid'"):
        load_dataset_info("camvit")


def test_missing_root_split_and_partner(raw):
    info = load_dataset_info("folder", raw)
    with pytest.raises(UserError, match="data.root is missing"):
        list_samples(info, None, "train")
    with pytest.raises(UserError, match="no such folder"):
        list_samples(info, raw / "nowhere", "train")
    with pytest.raises(UserError, match="no split 'test'.*splits there are train, val"):
        list_samples(info, raw, "test")
    (raw / "annotations/train/t3.png").unlink()
    (raw / "images/train/t5.jpg").unlink()
    with pytest.raises(UserError) as caught:
        list_samples(info, raw, "train")
    assert "2 files" in str(caught.value)
    assert "t3.jpg: no label" in str(caught.value)
    assert "t5.png: no image" in str(caught.value)


def test_empty_split(raw):
    for path in [*(raw / "images/val").iterdir(), *(raw / "annotations/val").iterdir()]:
        path.unlink()
    with pytest.raises(UserError, match="split 'val' is empty"):
        list_samples(load_dataset_info("folder", raw), raw, "val")
