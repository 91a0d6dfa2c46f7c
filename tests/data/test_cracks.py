"""The two-class example from masks to a score: cracks on concrete, drawn as 0/1 and as 0/255."""

import json

import pytest
import yaml

from tests.commands import run_inside
from tests.data.cracks import write_cracks

MASKS = {
    1: "classes: [background, crack]\n",
    255: "classes: [background, {name: crack, raw: 255}]\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("value", MASKS)
def test_cracks_are_learned_from_either_kind_of_mask(value, tmp_path, monkeypatch):
    root = write_cracks(tmp_path / "raw", value, train=200, val=40, classes=MASKS[value])
    transforms = ["random_crop", "random_flip", "photometric_distortion", "normalize"]
    config = {
        "data": {
            "name": "folder", "root": str(root), "records": str(tmp_path / "records"), "crop": [64, 64],
            "train_transforms": [{"name": name} for name in transforms],
        },
        "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": "fpn", "channels": 64}},
        "optimizer": {"name": "adamw", "lr": 1e-3},
        "schedule": {"name": "poly", "power": 0.9, "warmup_iterations": 20},
        "train": {"iterations": 400, "batch_size": 8, "eval_every": 100, "log_every": 50},
    }  # fmt: skip
    (tmp_path / "cracks.yaml").write_text(yaml.safe_dump(config))
    arguments = ["--config", tmp_path / "cracks.yaml", "--output"]
    assert run_inside(monkeypatch, "train.py", *arguments, tmp_path / "run") == 0
    checkpoint = tmp_path / "run" / "checkpoints" / "best.ckpt"
    assert run_inside(monkeypatch, "eval.py", *arguments, tmp_path / "eval", "--checkpoint", checkpoint) == 0
    result = json.loads((tmp_path / "eval" / "eval.json").read_text())
    assert result["per_class"]["crack"]["IoU"] > 90
    assert result["per_class"]["background"]["IoU"] > 95
