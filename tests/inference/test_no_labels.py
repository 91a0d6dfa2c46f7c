"""eval.py on a split of images alone: predictions, and no score."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from src.data.info import DatasetInfo, Layout
from src.data.mindrecord import write_records
from tests.commands import run_inside
from tests.data.raw_data import write_raw


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """Arguments of eval.py for two images without labels, and a model that says class 1 everywhere."""
    root = write_raw(tmp_path / "raw", {"test": 2})
    names, colors = ("road", "car", "tree"), ((0, 0, 0), (255, 0, 0), (0, 255, 0))
    layout = Layout("images/{split}", None, splits=("test",))
    info = DatasetInfo("folder", names, colors, {0: 0, 1: 1, 2: 2}, (layout,))
    write_records(info, root, tmp_path / "records", ["test"])
    data = {"name": "folder", "records": str(tmp_path / "records"), "crop": [32, 32]}
    config = {
        "data": {**data, "train_split": "test", "val_split": "test"},
        "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": "fpn"}},
        "optimizer": {"name": "adamw", "lr": 0.001},
        "train": {"iterations": 1, "batch_size": 1},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))

    def run(image):
        logits = np.zeros((1, 3, *image.shape[2:]), np.float32)
        logits[:, 1] = 1
        return logits

    monkeypatch.setattr("src.inference.runner.open_model", lambda *_: SimpleNamespace(run=run))
    return ["--config", tmp_path / "config.yaml", "--checkpoint", "any.ckpt", "--output", tmp_path / "eval"]


def test_predictions_without_a_score(arguments, tmp_path, monkeypatch, capsys):
    assert run_inside(monkeypatch, "eval.py", *arguments, "--save-predictions") == 0
    assert "split 'test' has no labels: no score (2 images)" in capsys.readouterr().out
    assert len(list((tmp_path / "eval" / "predictions").iterdir())) == 2
    assert json.loads((tmp_path / "eval" / "eval.json").read_text())["mIoU"] is None


def test_nothing_to_do_without_labels_and_pictures(arguments, tmp_path, monkeypatch, capsys):
    assert run_inside(monkeypatch, "eval.py", *arguments) == 2
    assert "'test' has no labels and so no score; add --save-predictions" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--per-image", "images.csv"], ["--worst", "2"], ["--boundary"]], ids=str)
def test_what_needs_a_score_is_refused(options, arguments, monkeypatch, capsys):
    assert run_inside(monkeypatch, "eval.py", *arguments, "--save-predictions", *options) == 2
    assert f"{options[0]}: 'test' has no labels and so no score; leave it out" in capsys.readouterr().err
