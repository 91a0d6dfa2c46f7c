"""Classes without a pixel are refused with the numbers and the ways to go on, wherever records are written or read."""

import cv2
import numpy as np
import pytest
import yaml

from src.data.catalog import load_dataset_info
from src.data.mindrecord import write_records
from src.data.preparation import ensure_records
from src.data.records import read_metadata
from src.errors import UserError
from tests.commands import run_inside
from tests.data.raw_data import folder_config, picture


def write_set(root, classes, labels):
    """Write ``labels[split]``, a list of lists of values, as images of four vertical stripes; return ``root``."""
    for split, values in labels.items():
        for part in ("images", "annotations"):
            (root / part / split).mkdir(parents=True)
        for index, stripes in enumerate(values):
            cv2.imwrite(str(root / "images" / split / f"{index}.png"), picture(index))
            label = np.repeat(np.repeat(np.uint8(stripes), 32 // len(stripes))[None], 24, axis=0)
            cv2.imwrite(str(root / "annotations" / split / f"{index}.png"), label)
    (root / "classes.yaml").write_text(classes)
    return root


def refusal(root, **options):
    """The message; nothing is written."""
    with pytest.raises(UserError) as caught:
        ensure_records(folder_config(root.parent / "records", root, **options))
    assert not (root.parent / "records").exists()
    return str(caught.value)


@pytest.fixture
def cracks(tmp_path):
    """Two classes, drawn as 0 and 255, and a classes.yaml that takes 255 for ignored."""
    stripes = [[0, 0, 255, 0], [0, 255, 0, 0]]
    return write_set(tmp_path / "raw", "classes: [background, crack]\n", {"train": stripes, "val": stripes[:1]})


def test_a_class_that_is_ignored_by_mistake(cracks):
    message = refusal(cracks)
    assert message.startswith("1 of 2 classes have no pixel:\n  in train and val: crack\n")
    assert "Every labeled pixel of val is background: to say so everywhere would score 100.0 mIoU" in message
    assert "255 is ignored, and covers 25 % of the pixels, while crack has none: if 255 means crack, write" in message
    assert "\n  classes: [background, {name: crack, raw: 255}]\n  ignore: []\n" in message
    assert message.endswith("set data.allow_empty: [crack]")


def test_the_suggested_classes_file_works(cracks):
    lines = refusal(cracks).splitlines()
    suggested = [line.strip() for line in lines if line.startswith(("  classes:", "  ignore:"))]
    (cracks / "classes.yaml").write_text("\n".join(suggested))
    metadata = ensure_records(folder_config(cracks.parent / "records", cracks))
    assert metadata.split("train").class_share == [0.75, 0.25]
    assert metadata.split("train").class_images == [2, 2]
    assert metadata.split("val").ignored_share == 0


def test_the_suggestion_keeps_other_classes_and_ignored_values(tmp_path):
    classes = "classes: [{name: road, raw: [7, 8]}, {name: crack, raw: 1}]\nignore: [0, 255]\n"
    root = write_set(tmp_path / "raw", classes, {"train": [[0, 7, 8, 255]], "val": [[7, 8, 7, 8]]})
    message = refusal(root)
    assert "  classes: [{name: road, raw: [7, 8]}, {name: crack, raw: 255}]\n  ignore: [0]" in message
    assert "  classes: [{name: road, raw: [7, 8]}, {name: crack, raw: 0}]\n  ignore: [255]" in message


def test_several_missing_classes_are_listed_by_split(tmp_path):
    classes = "classes: [a, b, c, d]\n"
    root = write_set(tmp_path / "raw", classes, {"train": [[0, 1, 2, 2]], "val": [[0, 1, 1, 255]]})
    message = refusal(root)
    assert "2 of 4 classes have no pixel:\n  in val: c\n  in train and val: d\n" in message
    assert "255 is ignored, and covers 25 % of the pixels: if it means one of these classes, write " in message
    assert "{name: NAME, raw: 255} for it" in message
    assert "data.allow_empty: [c, d]" in message
    assert "Every labeled pixel" not in message


def test_a_split_of_one_class_and_one_without_labels(tmp_path):
    root = write_set(tmp_path / "raw", "classes: [a, b]\n", {"train": [[1, 1]], "val": [[255, 255]]})
    message = refusal(root)
    assert "Every labeled pixel of train is b" in message
    assert "No pixel of val has a class, so it gives no score." in message


@pytest.mark.parametrize("allowed", [["crack"], "all"])
def test_what_is_allowed_goes_through(cracks, allowed):
    config = folder_config(cracks.parent / "records", cracks, allow_empty=allowed)
    assert ensure_records(config).split("val").class_images == [1, 0]


def test_existing_records_are_checked_too_but_only_the_splits_in_use(cracks, tmp_path):
    cv2.imwrite(str(cracks / "annotations/val/0.png"), np.eye(24, 32, dtype=np.uint8))
    records = tmp_path / "records"
    write_records(load_dataset_info("folder", cracks), cracks, records, allow_empty="all")
    with pytest.raises(UserError, match="in train: crack"):
        ensure_records(folder_config(records))
    assert ensure_records(folder_config(records), ["val"]) == read_metadata(records)


def test_an_unknown_name_is_an_error(cracks):
    assert "data.allow_empty: no class 'krack'; did you mean 'crack'?" in refusal(cracks, allow_empty=["krack"])


def test_one_pixel_is_enough(cracks):
    for split in ("train", "val"):
        label = np.zeros((24, 32), np.uint8)
        label[3, 3] = 1
        cv2.imwrite(str(cracks / "annotations" / split / "0.png"), label)
    assert ensure_records(folder_config(cracks.parent / "records", cracks)).split("train").class_images == [2, 1]


def test_a_named_set_gets_no_advice_about_classes_yaml(tmp_path):
    root = write_set(tmp_path / "raw", "", {"train": [[0, 1, 2, 11]], "val": [[0, 1, 2, 3]]})
    with pytest.raises(UserError) as caught:
        write_records(load_dataset_info("camvid"), root, tmp_path / "records")
    assert "8 of 11 classes have no pixel" in str(caught.value)
    assert "classes.yaml" not in str(caught.value) and "11 is ignored" not in str(caught.value)


def test_the_commands_refuse_and_allow(cracks, tmp_path, monkeypatch, capfd):
    arguments = ["--dataset", "folder", "--root", cracks, "--output", tmp_path / "out"]
    assert run_inside(monkeypatch, "src.tools.prepare_data", *arguments) == 2
    assert "255 is ignored" in capfd.readouterr().err
    config = {
        "data": {"name": "folder", "root": str(cracks), "records": str(tmp_path / "new"), "crop": [16, 16]},
        "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": "fpn"}},
        "optimizer": {"name": "adamw", "lr": 1e-3},
        "train": {"iterations": 1, "batch_size": 1},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    for program, extra in (("train.py", []), ("eval.py", ["--checkpoint", tmp_path / "none.ckpt"])):
        options = ["--config", tmp_path / "config.yaml", "--output", tmp_path / "run", *extra]
        assert run_inside(monkeypatch, program, *options) == 2
        assert "255 is ignored" in capfd.readouterr().err
    assert not (tmp_path / "new").exists()
    assert run_inside(monkeypatch, "src.tools.prepare_data", *arguments, "--allow-empty", "crack") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "train,", "%", "images", "val,", "%", "images"]
    assert lines[1].split() == ["background", "100.00", "2", "100.00", "1"]
    assert lines[2].split() == ["crack", "0", "0", "0", "0"]
    assert lines[3].split() == ["(ignored)", "25.00", "25.00"]
    assert lines[4] == "train: 2 images of 24x32"
