"""Looking at a data set: what is counted, what is found to be alike, and what the command prints and draws."""

import json

import cv2
import numpy as np
import pytest
import yaml

from src.data.catalog import load_dataset_info
from src.data.inspection.measure import NEAR, difference_hash, measure_split, near_duplicates, suggest_weights
from src.data.inspection.sources import open_source
from src.data.mindrecord import write_records
from src.data.shapes import scene
from src.errors import UserError
from tests.commands import run_inside
from tests.data.cracks import write_cracks
from tests.data.raw_data import folder_config, picture, stripes, write_raw


def photo(index: int, side: int = 256) -> np.ndarray:
    return scene(0, "train", index, (side, side))[0]


def distance(first: np.ndarray, second: np.ndarray) -> int:
    return int((difference_hash(first) != difference_hash(second)).sum())


@pytest.fixture
def raw(tmp_path):
    """Three training and two validation images with the classes 0, 1, 2 and a column of 255."""
    return write_raw(tmp_path / "raw", {"train": 3, "val": 2})


def measure(root, split="train", **options):
    source = open_source(folder_config(root.parent / "records", root, **options), [split])
    return measure_split(source.samples(split), source.info)


def test_raw_values_are_counted_known_or_not(raw):
    label = stripes()
    label[0, :5] = 77
    cv2.imwrite(str(raw / "annotations/train/img00.png"), label)
    report = measure(raw)
    assert report.images == {0: 3, 1: 3, 2: 3, 77: 1, 255: 3}
    assert report.pixels[77] == 5 and report.pixels[255] == 3 * 24
    assert sum(report.pixels.values()) == 3 * 24 * 32
    assert report.facts.ignored_values == {"255": pytest.approx(1 / 32)}
    assert report.facts.class_images == [3, 3, 3]


def test_images_without_a_class_and_unusable_ones_are_named(raw):
    cv2.imwrite(str(raw / "annotations/train/img01.png"), np.full((24, 32), 255, np.uint8))
    cv2.imwrite(str(raw / "annotations/train/img02.png"), np.zeros((25, 32), np.uint8))
    report = measure(raw)
    assert report.unlabeled == ["img01"] and report.facts.unlabeled == 1
    (problem,) = report.problems
    assert "img02.png: label is 25x32, its image 24x32" in problem
    for index in range(3):
        (raw / f"annotations/train/img0{index}.png").write_bytes(b"")
    with pytest.raises(UserError, match="none of 3 samples is usable"):
        measure(raw)


def test_records_give_the_same_counts_as_the_folder(raw):
    info = load_dataset_info("folder", raw)
    write_records(info, raw, raw.parent / "records")
    config = folder_config(raw.parent / "records")
    source = open_source(config, ["train", "val"])
    found, expected = measure_split(source.samples("train"), source.info), measure(raw)
    assert found.facts == expected.facts
    assert found.pixels == expected.pixels and found.frequency == expected.frequency
    assert all((found.hashes[name] == bits).all() for name, bits in expected.hashes.items())
    (sample,) = source.samples("val", [1])
    np.testing.assert_array_equal(sample.image, picture(1)[..., ::-1])


def test_nothing_to_inspect(tmp_path):
    with pytest.raises(UserError, match="nothing to inspect"):
        open_source(folder_config(tmp_path / "records"), ["train"])


def change(image: np.ndarray, kind: str) -> np.ndarray:
    if kind == "saved again":
        return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_COLOR)
    if kind == "shrunk":
        return cv2.resize(image, (100, 90), interpolation=cv2.INTER_AREA)
    return cv2.convertScaleAbs(image, alpha=0.8, beta=10)


@pytest.mark.parametrize("kind", ["saved again", "shrunk", "darker"])
def test_copies_of_an_image_are_near(kind):
    assert max(distance(photo(index), change(photo(index), kind)) for index in range(20)) <= NEAR


def test_different_images_are_not_near():
    photos = [photo(index) for index in range(40)]
    assert min(distance(a, b) for index, a in enumerate(photos) for b in photos[:index]) > 2 * NEAR


def test_pairs_across_splits_nearest_first():
    train = {str(index): difference_hash(photo(index)) for index in range(6)}
    val = {
        "far": difference_hash(photo(9)),
        "same": train["4"],
        "like": difference_hash(change(photo(2), "saved again")),
    }
    pairs = near_duplicates(train, val)
    assert pairs[0] == ("4", "same", 0)
    assert [pair[:2] for pair in pairs] == [("4", "same"), ("2", "like")]
    assert near_duplicates(train, {}) == []


def test_even_images_are_not_taken_for_copies():
    assert difference_hash(np.full((50, 60, 3), 90, np.uint8)) is None


def test_weights_by_median_frequency():
    assert suggest_weights([0.5, 0.25, 0.125]) == [0.5, 1.0, 2.0]
    assert suggest_weights([0.9, 0.5, 0.001]) == [0.556, 1.0, 10.0]  # clipped
    assert suggest_weights([0.5, 0.0]) == [1.0, 1.0]
    assert suggest_weights([0.0, 0.0]) == [1.0, 1.0]


def test_frequency_counts_only_images_that_have_the_class(tmp_path):
    root = write_raw(tmp_path / "raw", {"train": 2}, label=np.repeat(np.uint8([[0, 0, 0, 1]]), 4, axis=0).repeat(8, 1))
    for index, values in enumerate(([0, 0, 0, 1], [2, 2, 2, 2])):
        label = np.repeat(np.repeat(np.uint8([values]), 24, axis=0), 8, axis=1)
        cv2.imwrite(str(root / f"annotations/train/img0{index}.png"), label)
    assert measure(root).frequency == [0.75, 0.25, 1.0]


@pytest.fixture
def config(tmp_path):
    """A config of cracks drawn as 255, which its classes.yaml ignores; one image is in both splits."""
    root = write_cracks(tmp_path / "raw", 255, train=5, val=3, classes="classes: [background, crack]\n")
    copy = cv2.imread(str(root / "images/train/000002.jpg"))
    cv2.imwrite(str(root / "images/val/100001.jpg"), copy, [cv2.IMWRITE_JPEG_QUALITY, 70])
    values = {
        "data": {"name": "folder", "root": str(root), "records": str(tmp_path / "records"), "crop": [64, 64]},
        "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": "fpn"}},
        "optimizer": {"name": "adamw", "lr": 1e-3},
        "train": {"iterations": 1, "batch_size": 1},
    }
    (tmp_path / "cracks.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "cracks.yaml"


def test_the_command_names_what_would_stop_a_training(config, tmp_path, monkeypatch, capfd):
    output = tmp_path / "out"
    arguments = ["--config", config, "--output", output, "--samples", "3"]
    assert run_inside(monkeypatch, "src.tools.inspect_data", *arguments) == 0
    printed = capfd.readouterr().out
    for piece in (
        "raw folder ", "train: 5 images of 96x96", "  255  (ignored) ", "    1  crack ", "0.0000 %  in 0 images",
        "training would stop: 1 of 2 classes have no pixel", "{name: crack, raw: 255}",
        "near-duplicates between train and val: 1\n  000002  100001  (", "losses: {ce: {class_weights: [1.0, 1.0]}}",
    ):  # fmt: skip
        assert piece in printed
    for name in ("overview.png", "samples.png", "duplicates.png"):
        assert min(cv2.imread(str(output / name)).shape[:2]) > 150
    found = json.loads((output / "inspection.json").read_text())
    assert found["splits"]["train"]["raw_values"].keys() == {"0", "255"}
    assert found["near_duplicates"][0][:2] == ["000002", "100001"]
    assert not (tmp_path / "records").exists()


def test_the_command_on_a_sound_set(config, tmp_path, monkeypatch, capfd):
    (tmp_path / "raw/classes.yaml").write_text("classes: [background, {name: crack, raw: 255}]\n")
    arguments = ["--config", config, "--output", tmp_path / "out", "--split", "train"]
    assert run_inside(monkeypatch, "src.tools.inspect_data", *arguments) == 0
    printed = capfd.readouterr().out
    assert "training would stop" not in printed and "near-duplicates" not in printed
    weights = json.loads((tmp_path / "out/inspection.json").read_text())["class_weights"]
    assert weights[0] < 1 < weights[1] and f"losses: {{ce: {{class_weights: {weights}}}}}" in printed
    assert not (tmp_path / "out/duplicates.png").exists()


def test_values_outside_the_map_are_said_to_stop_a_training(config, tmp_path, monkeypatch, capfd):
    (tmp_path / "raw/classes.yaml").write_text("classes: [background, crack]\nignore: []\n")
    arguments = ["--config", config, "--output", tmp_path / "out"]
    assert run_inside(monkeypatch, "src.tools.inspect_data", *arguments) == 0
    printed = capfd.readouterr().out
    assert "training would stop: label values outside the map: 255" in printed
    assert "  255  NOT IN THE MAP " in printed
