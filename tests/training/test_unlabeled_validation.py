"""A validation split whose labels are all ignored has no score; if that is allowed, training goes on and says so."""

import json

import numpy as np
import yaml

from src.checkpoint import load_checkpoint
from tests.commands import run_inside
from tests.conftest import SMALL
from tests.data.raw_data import write_raw


def test_training_without_a_score(tmp_path, monkeypatch, capfd):
    root = write_raw(tmp_path / "raw", {"train": 4})
    write_raw(root, {"val": 2}, label=np.full((24, 32), 255, np.uint8))
    config = {
        **SMALL,
        "data": {
            "name": "folder", "root": str(root), "records": str(tmp_path / "records"), "crop": [32, 32],
            "allow_empty": "all",
            "train_transforms": [{"name": "pad"}, {"name": "normalize"}],
            "eval_transforms": [{"name": "resize", "size": [32, 32]}, {"name": "normalize"}],
        },
        "train": {"iterations": 2, "batch_size": 2, "eval_every": 1},
        "device": {"mode": "pynative"},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    arguments = ["--config", tmp_path / "config.yaml", "--output", tmp_path / "run"]
    assert run_inside(monkeypatch, "train.py", *arguments) == 0
    output = capfd.readouterr().out
    assert "step 1: mIoU -  aAcc -  mAcc -  (2 images, whole" in output
    assert "no labeled pixel in split 'val': no score, and best.ckpt stays as it is" in output
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["mIoU"] for line in lines if "split" in line] == [None, None]
    assert not (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert load_checkpoint(last).meta["progress"]["best"] is None

    evaluation = ["--config", tmp_path / "config.yaml", "--checkpoint", last, "--output", tmp_path / "eval"]
    assert run_inside(monkeypatch, "eval.py", *evaluation) == 0
    assert json.loads((tmp_path / "eval" / "eval.json").read_text())["mIoU"] is None
