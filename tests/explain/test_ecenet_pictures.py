"""The pictures of ECENet's inside, and the command that draws them."""

import cv2
import numpy as np
import pytest
import yaml

from src.checkpoint import save_checkpoint
from src.config import load_config
from src.data.catalog import load_dataset_info
from src.explain import ecenet
from src.explain.masks import largest_classes
from src.explain.subject import Subject
from src.models import build_model
from tests.commands import run_inside
from tests.conftest import SMALL
from tests.models.small import SMALL_DECODER

CLASSES = ["sky", "road", "car"]
COLORS = [[0, 0, 200], [120, 120, 120], [200, 0, 0]]
SHAPES = load_dataset_info("shapes")
IMAGE = np.full((40, 60, 3), 100, np.uint8)


def arrays():
    generator = np.random.default_rng(0)
    sizes = {level: (10 >> level or 1, 15 >> level or 1) for level in range(4)}
    found = {f"mask_{level}": generator.standard_normal((1, 3, *size)) for level, size in sizes.items()}
    return found | {f"diversity_{level}": generator.random((1, *size)) + 0.01 for level, size in sizes.items()}


def test_pictures_are_written(tmp_path):
    written = ecenet.draw(arrays(), Subject(IMAGE, CLASSES, COLORS, (0, 0), tmp_path / "new", "photo"))
    assert [path.name for path in written] == [f"photo_{name}.png" for name in ecenet.PICTURES]
    for path in written:
        assert min(cv2.imread(str(path)).shape[:2]) > 100


def test_without_feature_reconstruction_there_is_no_diversity(tmp_path):
    masks = {name: values for name, values in arrays().items() if name.startswith("mask")}
    written = ecenet.draw(masks, Subject(IMAGE, CLASSES, COLORS, (0, 0), tmp_path, "a"))
    assert [path.name for path in written] == ["a_masks.png"]


def test_classes_are_chosen_by_area():
    levels = [np.zeros((3, 4, 4), np.float32) for _ in range(4)]
    levels[0][2, :3] = 1
    levels[3][0, 3:] = 1
    assert largest_classes(levels, (4, 4)) == [2, 0]
    assert largest_classes(levels, (4, 4), 1) == [2]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A config of a tiny ECENet and a checkpoint of it, untrained."""
    folder = tmp_path_factory.mktemp("ecenet")
    values = {**SMALL, "data": {**SMALL["data"], "records": str(folder / "records")}}
    values["model"] = {"backbone": {"name": "resnet18"}, "decoder": {"name": "ecenet", **SMALL_DECODER["ecenet"]}}
    (folder / "small.yaml").write_text(yaml.safe_dump(values))
    network = build_model(load_config(folder / "small.yaml").model, len(SHAPES.classes))
    meta = {"classes": list(SHAPES.classes), "colors": [list(color) for color in SHAPES.colors]}
    save_checkpoint(folder / "model.ckpt", network, meta)
    return folder / "small.yaml", folder / "model.ckpt"


def test_predict_explains(model, tmp_path, monkeypatch):
    config, checkpoint = model
    cv2.imwrite(str(tmp_path / "photo.png"), np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    arguments = ["--config", config, "--checkpoint", checkpoint, "--input", tmp_path / "photo.png"]
    arguments += ["--set", "device.mode=pynative", "--output", tmp_path / "out", "--explain"]
    assert run_inside(monkeypatch, "src.tools.predict", *arguments) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"photo.png", "photo_masks.png", "photo_diversity.png"} <= names


def test_evaluation_explains(model, tmp_path, monkeypatch, capsys):
    config, checkpoint = model
    arguments = ["--config", config, "--output", tmp_path / "eval", "--set", "device.mode=pynative", "--explain", "2"]
    assert run_inside(monkeypatch, "eval.py", *arguments, "--checkpoint", checkpoint) == 0
    assert f"wrote {tmp_path / 'eval' / 'explain'}\n" in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / "eval" / "explain").glob("*_masks.png"))
    assert len(names) == 2 and cv2.imread(str(tmp_path / "eval" / "explain" / names[0])).shape[0] > 100
    for more, words in (
        (["--checkpoint", checkpoint, "--set", "model.decoder.name=fpn"], "decoder fpn has nothing to show"),
        (["--checkpoint", checkpoint.with_suffix(".onnx")], "an exported file explains nothing; use its .ckpt"),
    ):
        assert run_inside(monkeypatch, "eval.py", *arguments, *more) == 2
        assert words in capsys.readouterr().err


def test_exported_file_equals_the_checkpoint(model, tmp_path, monkeypatch, capsys):
    config, checkpoint = model
    arguments = ["--config", config, "--checkpoint", checkpoint, "--format", "MINDIR", "--output", tmp_path / "model"]
    options = ["--size", "64", "64", "--set", "device.mode=pynative"]
    assert run_inside(monkeypatch, "export.py", *arguments, *options) == 0
    assert (tmp_path / "model.mindir").is_file()
    difference = float(capsys.readouterr().out.split("at most ")[1].split()[0])
    assert difference < 1e-5


def test_nothing_to_explain(small_config, tmp_path, monkeypatch, capsys):
    cv2.imwrite(str(tmp_path / "photo.png"), IMAGE)
    arguments = ["--config", small_config, "--checkpoint", "x.ckpt", "--input", tmp_path, "--output", tmp_path / "out"]
    assert run_inside(monkeypatch, "src.tools.predict", *arguments, "--explain") == 2
    assert "decoder fpn has nothing to show; ecenet, cpt, csnet have" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--explain", "--pixel", "64", "0"], "photo.png: pixel 64 0: lies outside the image of 64x64"),
        (["--pixel", "1", "1"], "--pixel chooses what --explain shows; add --explain"),
    ],
)
def test_impossible_pixels(model, tmp_path, monkeypatch, capsys, extra, message):
    config, checkpoint = model
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((64, 64, 3), np.uint8))
    arguments = ["--config", config, "--checkpoint", checkpoint, "--input", tmp_path, "--output", tmp_path / "out"]
    assert run_inside(monkeypatch, "src.tools.predict", *arguments, *extra) == 2
    assert message in capsys.readouterr().err


def test_results_do_not_replace_images(model, tmp_path, monkeypatch, capsys):
    config, checkpoint = model
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((64, 64, 3), np.uint8))
    arguments = ["--config", config, "--checkpoint", checkpoint, "--input", tmp_path, "--output", tmp_path]
    assert run_inside(monkeypatch, "src.tools.predict", *arguments) == 2
    assert "photo.png would replace an input" in capsys.readouterr().err


def test_image_that_is_too_small(model, tmp_path, monkeypatch, capsys):
    config, checkpoint = model
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((20, 40, 3), np.uint8))
    arguments = ["--config", config, "--checkpoint", checkpoint, "--input", tmp_path, "--output", tmp_path / "out"]
    assert run_inside(monkeypatch, "src.tools.predict", *arguments) == 2
    assert "photo.png: an image of 20x40 is too small: the network needs at least 32" in capsys.readouterr().err
