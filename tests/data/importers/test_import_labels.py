"""The command: what it prints, what it replaces, and that its config trains."""

import numpy as np
import pytest
from PIL import Image

from src.data.importers.overlay import choose
from tests.commands import run_inside
from tests.data.importers import known as k

TOOL = "src.tools.import_labels"


@pytest.fixture
def command(known, photos, tmp_path, monkeypatch, capfd):
    """Run the command in ``tmp_path``; return status, output and errors."""
    monkeypatch.chdir(tmp_path)
    k.write_coco(tmp_path / "labels", known)

    def start(*extra, output="data/mine"):
        arguments = ["--format", "coco", "--images", "photos", "--labels", "labels/instances.json", "--output", output]
        status = run_inside(monkeypatch, TOOL, *arguments, *extra)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return start


def test_what_it_prints_and_writes(command, known, tmp_path):
    status, out, _ = command("--val-share", "0.25", "--seed", "3")
    assert status == 0
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line[:1].isalpha()}
    assert list(rows)[:6] == ["class", "background", "leaf", "apple", "ladder", "wrote"]
    assert rows["leaf"][:2] == ["6", "2"]
    assert int(rows["ladder"][0]) + int(rows["ladder"][1]) == 3
    assert rows["ladder"][1] != "0"
    pixels = np.stack([np.bincount(item.label.ravel(), minlength=4) for item in known]).sum(axis=0)
    labels = k.read_labels(tmp_path / "data" / "mine")
    assert sum(np.bincount(label.ravel(), minlength=4) for label in labels.values()).tolist() == pixels.tolist()
    train = [np.asarray(Image.open(p)) for p in (tmp_path / "data/mine/annotations/train").iterdir()]
    share = 100 * sum((label == 1).sum() for label in train) / sum(label.size for label in train)
    assert float(rows["leaf"][2]) == pytest.approx(share, abs=0.006)
    assert "wrote data/mine: 6 images for training, 2 for validation" in out
    assert "look at data/mine/overlay.png first" in out
    assert out.splitlines()[-1] == "  python train.py --config data/mine/config.yaml --output runs/mine"
    names = sorted(path.name for path in (tmp_path / "data" / "mine").iterdir())
    assert names == ["annotations", "classes.yaml", "config.yaml", "images", "overlay.png"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["mine"]
    width, height = Image.open(tmp_path / "data/mine/overlay.png").size
    assert height > width > 600  # eight rows of three pictures
    classes = (tmp_path / "data/mine/classes.yaml").read_text().splitlines()
    assert classes[1].startswith("  - {name: background, raw: 0, color: [60, 60, 60]}")
    assert classes[-1] == "ignore: [255]"


def test_groups_stay_together(command, tmp_path):
    status, out, _ = command("--group", "^(c)")
    assert status == 0
    sides = {path.stem: path.parent.name for path in (tmp_path / "data" / "mine").glob("images/*/*")}
    assert len({side for name, side in sides.items() if name.startswith("c")}) == 1
    assert "images that --group does not match, each a group of its own: 2" in out


def test_only_an_import_is_replaced_and_only_when_asked(command, known, tmp_path):
    output = tmp_path / "data" / "mine"
    assert command()[0] == 0
    (output / "records").mkdir()
    before = sorted(output.rglob("*"))
    status, _, err = command()
    assert (status, err) == (
        2,
        "error: --output data/mine: exists already; --overwrite replaces it, its config.yaml and records too\n",
    )
    assert sorted(output.rglob("*")) == before
    assert command("--overwrite", "--seed", "1")[0] == 0
    assert not (output / "records").exists()
    (output / "notes.txt").write_text("mine")
    assert "holds notes.txt, which is not of an import" in command("--overwrite")[2]
    assert "exists and is not an imported set" in command("--overwrite", output="photos")[2]
    assert (tmp_path / "photos" / "b.jpg").is_file()
    assert command(output="empty")[0] == 0


def test_sources_inside_the_output_are_not_lost(command, tmp_path):
    assert command()[0] == 0
    (tmp_path / "photos").rename(tmp_path / "data/mine/images/photos")
    (tmp_path / "photos").symlink_to(tmp_path / "data/mine/images/photos")
    status, _, err = command("--overwrite")
    assert status == 2
    assert "photos lies in it and would be lost" in err
    assert (tmp_path / "photos" / "b.jpg").is_file()


def test_problems_leave_the_old_import_alone(command, tmp_path):
    assert command()[0] == 0
    (tmp_path / "photos" / "b.jpg").unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    status, _, err = command("--overwrite")
    assert status == 2
    assert (
        "1 problem in the labels or images; nothing was written:\n  labels/instances.json: image 101: no image" in err
    )
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before


def test_what_cannot_be_learned_is_said(command, tmp_path):
    classes = tmp_path / "mine.yaml"
    classes.write_text("classes: [background, leaf, apple, ladder, unicorn]\n")
    out = command("--classes", classes)[1]
    assert "note: no pixel has the classes unicorn; name those you need in --classes" in out


def test_the_sheet_shows_as_many_classes_as_it_can():
    pixels = np.zeros((30, 256), int)
    pixels[:, 0] = 1
    for index in range(20):
        pixels[index, 1 + index // 2] = 5
    pixels[7, 11:14] = 1
    chosen = choose(pixels, seed=0)
    assert len(chosen) == len(set(chosen)) == 8
    assert chosen[0] == 7
    assert (pixels[chosen] > 0).any(axis=0).sum() == 12  # background, 3 + 1 of image 7, and one more for each other
    assert choose(pixels, seed=0) == chosen
    assert len(choose(pixels[:3], seed=0)) == 3


def test_the_config_trains(command, tmp_path, monkeypatch):
    assert command()[0] == 0
    small = ["model.backbone.weights=null", "data.crop=[32,32]", "device.mode=pynative"]
    steps = [f"train.{key}=2" for key in ("iterations", "batch_size", "eval_every", "checkpoint_every")]
    arguments = ["--config", "data/mine/config.yaml", "--output", "runs/mine", "--set", *small, *steps]
    assert run_inside(monkeypatch, "train.py", *arguments) == 0
    lines = [k.json.loads(line) for line in (tmp_path / "runs/mine/metrics.jsonl").read_text().splitlines()]
    assert np.isfinite([line["loss"] for line in lines if "loss" in line]).all()
    assert "mIoU" in lines[-1]
    assert (tmp_path / "data/mine/records/manifest.json").is_file()
