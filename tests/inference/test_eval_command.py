"""The files and switches of eval.py, with a model that knows the answer for all pixels but some."""

import csv
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import yaml

from src.data.records import read_metadata
from tests.commands import run_inside
from tests.data.raw_data import write_raw


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A function that runs eval.py on three images of val; the model finds class 1 in dark pixels, else class 0."""
    root = write_raw(tmp_path / "raw", {"train": 2, "val": 3, "extra": 2})
    config = {
        "data": {"name": "folder", "root": str(root), "records": str(tmp_path / "records"), "crop": [32, 32]},
        "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": "fpn"}},
        "optimizer": {"name": "adamw", "lr": 0.001},
        "train": {"iterations": 1, "batch_size": 1},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    seen = []

    def model(image):
        seen.append(image)
        if len(seen) == command_of.fail_at:
            raise KeyboardInterrupt
        dark = image[:, 0] < 0
        return np.stack([~dark, dark, np.zeros_like(dark)], 1).astype(np.float32)

    monkeypatch.setattr("src.inference.runner.open_model", lambda *_: SimpleNamespace(run=model))

    def command_of(*arguments, output="eval"):
        seen.clear()
        given = ["--config", tmp_path / "config.yaml", "--checkpoint", "any.ckpt", "--output", tmp_path / output]
        return run_inside(monkeypatch, "eval.py", *given, *arguments)

    command_of.fail_at, command_of.seen = 0, seen
    return command_of


def report(folder):
    return json.loads((folder / "eval.json").read_text())


def test_all_files_agree_with_the_report(command, tmp_path, capsys):
    options = ["--per-image", tmp_path / "lists" / "images.csv", "--worst", "2", "--sheet", "9", "--boundary"]
    assert command(*options, "--save-predictions", "ids", "raw") == 0
    folder, scores = tmp_path / "eval", report(tmp_path / "eval")
    rows = list(csv.reader((folder / "confusion.csv").read_text().splitlines()))
    matrix = np.array([row[1:] for row in rows[1:]], np.int64)
    assert rows[0][1:] == [row[0] for row in rows[1:]] == list(scores["per_class"])
    assert 100 * np.trace(matrix) / matrix.sum() == pytest.approx(scores["aAcc"])
    images = list(csv.DictReader((tmp_path / "lists" / "images.csv").read_text().splitlines()))
    assert len(images) == 3
    assert [float(row["mIoU"]) for row in images] == sorted(float(row["mIoU"]) for row in images)
    assert list(scores["boundary"]["per_class"]) == list(scores["per_class"])
    for name in ("confusion.png", "worst.png", "sheet.png"):
        assert cv2.imread(str(folder / name)).shape[0] > 100
        assert f"wrote {folder / name}" in capsys.readouterr().out or name != "confusion.png"
    for kind in ("ids", "raw"):
        names = {str(path.relative_to(folder / kind).with_suffix("")) for path in (folder / kind).rglob("*.png")}
        assert names == {row["image"] for row in images}
    assert not list(folder.glob(".evaluation*"))
    assert len(command.seen) == 3 + 2 + 3  # every image once, and again for the sheets


def test_an_interrupted_evaluation_goes_on(command, tmp_path, capsys):
    options = ["--per-image", tmp_path / "whole.csv", "--save-predictions", "--boundary"]
    assert command(*options, output="whole") == 0
    options[1] = tmp_path / "resumed.csv"
    command.fail_at = 3
    assert command(*options) == 130
    command.fail_at = 0
    assert command(*options) == 0
    assert "continuing an interrupted evaluation: 2 of 3 images are done" in capsys.readouterr().out
    assert len(command.seen) == 1
    assert report(tmp_path / "eval") == report(tmp_path / "whole")
    assert (tmp_path / "resumed.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert len(list((tmp_path / "eval" / "predictions").iterdir())) == 3


@pytest.mark.parametrize("options", [["--resume", "never"], ["--set", "eval.flip=true"], ["--split", "train"]], ids=str)
def test_another_evaluation_does_not_go_on(options, command, tmp_path):
    command.fail_at = 3
    assert command() == 130
    command.fail_at = 0
    assert command(*options) == 0
    assert report(tmp_path / "eval")["images"] == (2 if "train" in options else 3)
    assert len(command.seen) == {"--set": 6, "--split": 2}.get(options[0], 3)


def test_a_split_that_the_records_lack_is_added(command, tmp_path, capsys):
    assert command() == 0
    records = tmp_path / "records"
    before = {path.name: path.stat().st_ino for path in records.glob("*.mindrecord*")}
    assert command("--split", "extra", output="extra") == 0
    assert "adding extra from" in capsys.readouterr().out
    assert report(tmp_path / "extra")["images"] == 2
    assert list(read_metadata(records).splits) == ["train", "val", "extra"]
    assert before == {name: (records / name).stat().st_ino for name in before}
    assert command("--split", "nowhere") == 2
    assert "has no split 'nowhere'" in capsys.readouterr().err


def test_negative_numbers_of_images(command, capsys):
    assert command("--worst", "-1") == 2
    assert "--worst -1: expected a number of images, 0 or more" in capsys.readouterr().err


def test_a_file_cannot_be_an_output_folder(command, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert command("--per-image", tmp_path / "file" / "images.csv") == 2
    assert "is a file, not a folder" in capsys.readouterr().err
