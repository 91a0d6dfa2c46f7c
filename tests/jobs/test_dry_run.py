"""A trial of a training tells what it needs and leaves a picture alone."""

import cv2
import numpy as np
import pytest
import yaml

from src.config import make_config
from src.data.inspection.sources import open_source
from src.errors import UserError
from src.jobs.dry_run import read_batch
from tests.commands import run_inside
from tests.conftest import SMALL


def config(tmp_path, **data):
    return make_config({**SMALL, "data": {**SMALL["data"], "records": str(tmp_path / "records"), **data}})


def test_one_update_and_nothing_but_the_sheet(tmp_path, monkeypatch, capsys):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**SMALL, "data": {**SMALL["data"], "records": str(tmp_path / "records")}}))
    arguments = ["--config", path, "--dry-run", "--output", tmp_path / "run", "--set", "device.mode=pynative"]
    assert run_inside(monkeypatch, "train.py", *arguments, "train.accumulate=2") == 0
    printed = capsys.readouterr().out
    for words in (
        "fpn on resnet18: 11.",
        "one update of 4 images of 64x64, from generated scenes",
        "  loss ",
        " GiB",
        "estimated ",
        ": 6 steps ",
        "2 evaluations of 6 images (whole",
        "samples.png and nothing else",
    ):
        assert words in printed
    assert "NOT FINITE" not in printed
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")) == [
        "run", "run/samples.png", "small.yaml",
    ]  # fmt: skip


def test_the_batch_is_what_training_sees(tmp_path):
    data = config(tmp_path).data
    source = open_source(data, ["train", "val"])
    batch = read_batch(source, data, 4, seed=0)
    assert batch.image.shape == (4, 3, 64, 64) and batch.image.dtype == np.float32
    assert batch.label.shape == (4, 64, 64) and batch.label.dtype == np.int32
    assert len(set(batch.positions)) == 4 and sum(batch.class_share) == pytest.approx(1)
    sample = next(source.samples("train", batch.positions[:1]))
    flipped = [sample.values, sample.values[:, ::-1]]
    assert any((batch.label[0] == label).all() for label in flipped)
    assert read_batch(source, data, 4, seed=1).positions != batch.positions
    with pytest.raises(UserError, match="a batch of 25 is larger than the split 'train' with its 24 usable images"):
        read_batch(source, data, 25, seed=0)


def test_raw_images_without_records(tmp_path, capsys):
    root = tmp_path / "raw"
    for folder in ("images", "annotations"):
        for split in ("train", "val"):
            (root / folder / split).mkdir(parents=True)
            for index, side in enumerate((40, 50, 60)):
                picture = np.full((side, side, 3) if folder == "images" else (side, side), index % 2, np.uint8)
                cv2.imwrite(str(root / folder / split / f"{index}.png"), picture)
    (root / "images" / "train" / "1.png").write_bytes(b"nothing")
    (root / "classes.yaml").write_text("classes: [a, b]\n")
    own = {"name": "folder", "root": str(root)}
    crop = [{"name": "random_crop"}, {"name": "pad"}, {"name": "normalize"}]
    data = config(tmp_path, **own, train_transforms=crop).data
    source = open_source(data, ["train", "val"])
    batch = read_batch(source, data, 2, seed=0)
    assert sorted(batch.positions) == [0, 2] and batch.class_share == [1.0, 0.0]
    with pytest.raises(UserError, match="a batch of 3 is larger than the split 'train' with its 2 usable images"):
        read_batch(source, data, 3, seed=0)
    assert "1.png: unreadable image" in capsys.readouterr().out
    data = config(tmp_path, **own).data
    with pytest.raises(UserError, match="the samples differ in size"):
        read_batch(open_source(data, ["train", "val"]), data, 2, seed=0)
    assert not (tmp_path / "records").exists()


def test_scenes_have_two_splits(tmp_path):
    with pytest.raises(UserError, match="has the splits train and val, not 'test'"):
        open_source(config(tmp_path).data, ["train", "test"])
