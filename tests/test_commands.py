"""The whole job through the commands, and what each kind of bad input prints."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from src.api import load
from src.errors import UserError
from src.inference.exported import open_exported
from src.models.flattening import FlattenedLevels
from tests.commands import ROOT, run_inside


@pytest.fixture(scope="module")
def trained(small_config, tmp_path_factory):
    """A run of six steps."""
    folder = tmp_path_factory.mktemp("job") / "run"
    with pytest.MonkeyPatch.context() as patch:
        arguments = ["--config", small_config, "--output", folder, "--set", "device.mode=pynative"]
        assert run_inside(patch, "train.py", *arguments) == 0
    return folder


@pytest.fixture
def fails(monkeypatch, capfd):
    """Run a command that has to end with status 2; return its message."""

    def run(program, *arguments):
        capfd.readouterr()
        assert run_inside(monkeypatch, program, *arguments) == 2
        message = capfd.readouterr().err
        assert "Traceback" not in message
        return message

    return run


def test_checkpoint_and_exported_file_have_one_score(trained, small_config, tmp_path, monkeypatch, capfd):
    best, stem = trained / "checkpoints" / "best.ckpt", tmp_path / "model"
    arguments = ["--checkpoint", trained, "--output", tmp_path / "a", "--sheet", "2"]  # the config is inside
    assert run_inside(monkeypatch, "eval.py", *arguments, "--save-predictions") == 0
    arguments = ["--config", small_config, "--checkpoint", best, "--format", "MINDIR", "--output", stem]
    assert run_inside(monkeypatch, "export.py", *arguments) == 0
    assert "differ from the checkpoint's by at most" in capfd.readouterr().out
    exported = stem.with_suffix(".mindir")
    assert open_exported(exported).shape == (1, 3, 64, 64)
    arguments = ["--checkpoint", exported, "--output", tmp_path / "b"]
    assert run_inside(monkeypatch, "eval.py", *arguments) == 0
    first, second = (json.loads((tmp_path / name / "eval.json").read_text()) for name in ("a", "b"))
    assert first["mIoU"] == pytest.approx(second["mIoU"], abs=0.01)
    assert first["mIoU"] == pytest.approx(json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])["mIoU"])
    assert first["images"] == 6
    assert first["protocol"]["weights"] == str(best)
    assert len(list((tmp_path / "a" / "predictions").iterdir())) == 6
    assert (tmp_path / "a" / "sheet.png").is_file()
    assert json.loads((tmp_path / "a" / "report.json").read_text())["scores"] == first
    assert str(best) in (tmp_path / "a" / "report.html").read_text()
    description = json.loads((tmp_path / "model.mindir.json").read_text())
    assert description["input"]["shape"] == [1, 3, 64, 64]
    assert len(description["classes"]) == len(description["colors"]) == 7
    pytest.importorskip("onnxruntime")
    arguments = [
        "--config",
        small_config,
        "--checkpoint",
        best,
        "--format",
        "ONNX",
        "--output",
        stem,
        "--uint8",
        "--half",
    ]
    assert run_inside(monkeypatch, "export.py", *arguments) == 0
    arguments = ["--config", small_config, "--checkpoint", stem.with_suffix(".onnx"), "--output", tmp_path / "c"]
    assert run_inside(monkeypatch, "eval.py", *arguments) == 0
    third = json.loads((tmp_path / "c" / "eval.json").read_text())
    assert first["mIoU"] == pytest.approx(third["mIoU"], abs=0.1)  # the weights are rounded to fp16
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    expected = load(trained).predict(rgb).probabilities
    for path, tolerance in ((exported, 1e-4), (stem.with_suffix(".onnx"), 1e-2)):
        model = load(path)
        np.testing.assert_allclose(model.predict(rgb).probabilities, expected, atol=tolerance)
        with pytest.raises(UserError, match="an exported file explains nothing"):
            model.explain(rgb)


def test_slide_and_flip_through_the_command(trained, small_config, tmp_path, monkeypatch):
    best = trained / "checkpoints" / "best.ckpt"
    options = ["eval.mode=slide", "eval.crop=[48,64]", "eval.stride=[16,64]", "eval.flip=true", "eval.scales=[1.0,1.5]"]
    options += ["device.mode=pynative", "report.write=false"]
    arguments = ["--config", small_config, "--checkpoint", best, "--output", tmp_path, "--set", *options]
    assert run_inside(monkeypatch, "eval.py", *arguments) == 0
    assert not list(tmp_path.glob("report.*"))
    protocol = json.loads((tmp_path / "eval.json").read_text())["protocol"]
    assert protocol["mode"] == "slide 48x64 stride 16x64, scales 1.0 1.5, flip"


def test_predict_writes_classes_colors_and_overlay(trained, small_config, tmp_path, monkeypatch, fails):
    photos = tmp_path / "photos"
    photos.mkdir()
    for index, size in enumerate([(50, 70), (64, 64)]):
        cv2.imwrite(str(photos / f"p{index}.jpg"), np.full((*size, 3), 90, np.uint8))
    best = trained / "checkpoints" / "best.ckpt"
    arguments = ["--config", small_config, "--checkpoint", best, "--input", photos, "--output", tmp_path / "out"]
    assert run_inside(monkeypatch, "src.tools.predict", *arguments) == 0
    assert len(list((tmp_path / "out").iterdir())) == 6
    classes = cv2.imread(str(tmp_path / "out" / "p0.png"), cv2.IMREAD_UNCHANGED)
    assert classes.shape == (50, 70) and classes.max() < 7
    (photos / "p1.jpg").write_bytes(b"nothing")
    assert "p1.jpg: unreadable image (not an image file)" in fails("src.tools.predict", *arguments)
    missing = fails("src.tools.predict", *arguments[:-4], "--input", tmp_path / "x", "--output", "y")
    assert "no image or video found" in missing


def test_predict_turns_a_photo_upright(trained, small_config, tmp_path, monkeypatch, capfd):
    """A phone stores the photo lying, with a tag; the result lies as the photo is shown."""
    tag = Image.Exif()
    tag[0x0112] = 6  # to be turned clockwise
    stored = np.full((50, 70, 3), 90, np.uint8)
    stored[:20, :20] = 250, 20, 20
    Image.fromarray(stored).save(tmp_path / "phone.jpg", exif=tag, quality=95)
    Image.fromarray(stored).convert("CMYK").save(tmp_path / "print.tif")
    best = trained / "checkpoints" / "best.ckpt"
    for name, size in (("phone.jpg", (70, 50)), ("print.tif", (50, 70))):
        arguments = ["--config", small_config, "--checkpoint", best, "--input", tmp_path / name]
        assert run_inside(monkeypatch, "src.tools.predict", *arguments, "--output", tmp_path / "out") == 0
        assert cv2.imread(str(tmp_path / "out" / f"{Path(name).stem}.png"), cv2.IMREAD_UNCHANGED).shape == size
    overlay, drawn = (
        cv2.imread(str(tmp_path / "out" / f"phone_{kind}.png")).astype(int) for kind in ("overlay", "color")
    )
    photo = 2 * overlay - drawn
    red = photo[..., 2] - photo[..., 0] > 100
    assert red[3:17, 33:47].all() and not red[25:].any() and not red[:, :25].any()  # at the top right
    printed = capfd.readouterr().out
    assert "1 of 1 images: turned upright by the orientation tag" in printed
    assert "1 of 1 images: CMYK converted to RGB without a color profile" in printed


def test_feature_report(trained, small_config, tmp_path, monkeypatch, capfd, fails):
    arguments = ["--config", small_config, "--output", tmp_path / "features", "--checkpoint"]
    best = trained / "checkpoints" / "best.ckpt"
    assert run_inside(monkeypatch, "src.tools.feature_report", *arguments, best, "--distance", "euclidean") == 0
    report = json.loads((tmp_path / "features" / "feature_report.json").read_text())
    assert report["ratio"] == pytest.approx(report["intra"] / report["inter"])
    assert (report["distance"], report["images"], report["channels"]) == ("euclidean", 6, 16)
    assert f"ratio {report['ratio']:.4f}" in capfd.readouterr().out
    for name in ("similarities.png", "projection.png"):
        assert min(cv2.imread(str(tmp_path / "features" / name)).shape[:2]) > 300
    message = fails("src.tools.feature_report", *arguments, tmp_path / "model.mindir")
    assert "use the .ckpt that it was exported from" in message
    message = fails("src.tools.feature_report", *arguments, best, "--split", "tset")
    assert "no split 'tset' (there are train, val)" in message
    message = fails("src.tools.feature_report", *arguments, best, "--features", "consistent")
    assert "features: this decoder has no 'consistent' (valid: classifier)" in message


def test_level_report(trained, small_config, tmp_path, monkeypatch, capfd, fails):
    best = trained / "checkpoints" / "best.ckpt"
    arguments = ["--config", small_config, "--checkpoint", best]
    assert run_inside(monkeypatch, "eval.py", *arguments, "--output", tmp_path / "eval") == 0
    score = json.loads((tmp_path / "eval" / "eval.json").read_text())["mIoU"]
    flattened, flatten = [], FlattenedLevels.flatten
    monkeypatch.setattr(FlattenedLevels, "flatten", lambda self, level: flattened.append(level) or flatten(self, level))
    assert run_inside(monkeypatch, "src.tools.level_report", *arguments, "--output", tmp_path / "levels") == 0
    assert flattened == [0, 1, 2, 3]
    report = json.loads((tmp_path / "levels" / "level_report.json").read_text())
    assert report["mIoU"] == pytest.approx(score) and len(report["flattened"]) == 4
    assert f"level 3     {report['flattened'][3]:>8.2f}" in capfd.readouterr().out
    message = fails("src.tools.level_report", *arguments[:3], tmp_path / "model.mindir")
    assert "use the .ckpt it was made from" in message


def test_compare_sheet(trained, tmp_path, monkeypatch, capfd, fails):
    tool, sheet = "src.tools.compare_sheet", tmp_path / "sheet.png"
    last = trained / "checkpoints" / "last.ckpt"
    drawn = {}
    monkeypatch.setattr(
        "src.report.charts.contact_sheet", lambda path, rows, titles, *_: drawn.update({path: (rows, titles)})
    )
    assert run_inside(monkeypatch, tool, trained, f"last={last}", "--rows", 4, 1, "--output", sheet) == 0
    rows, titles = drawn[sheet]
    assert titles == ["image", "label", "run", "last"] and len(rows) == 2
    assert all(picture.shape == (64, 64, 3) for pictures in rows for picture in pictures)
    assert run_inside(monkeypatch, tool, trained, "--images", 2, "--output", tmp_path / "b.png") == 0
    np.testing.assert_array_equal(drawn[tmp_path / "b.png"][0][1][2], rows[1][2])  # image 1, by itself
    message = fails(tool, trained, trained, "--output", sheet)
    assert "two columns are called 'run'; give titles, such as A=" in message
    assert "--rows 6: the split has the images 0 to 5" in fails(tool, trained, "--rows", 6, "--output", sheet)
    assert "--images 0: the split has" in fails(tool, trained, "--images", 0, "--output", sheet)
    assert "the picture is a .png" in fails(tool, trained, "--output", tmp_path / "sheet.jpg")


def test_benchmark_counts(small_config, tmp_path, monkeypatch, capfd, fails):
    arguments = ["complexity", "--config", small_config, "--json", tmp_path / "new" / "c.json"]
    assert run_inside(monkeypatch, "src.tools.benchmark", *arguments) == 0
    counts = json.loads((tmp_path / "new" / "c.json").read_text())
    assert counts["size"] == [64, 64]
    for name in ("multiply_adds", "parameters"):
        whole = counts["backbone"][name] + counts["decoder"][name]
        assert counts["network"][name] == whole
        assert counts["decoder"][name] == sum(v[name] for part, v in counts.items() if part.startswith("decoder."))
    assert f"{counts['network']['parameters']:,}" in capfd.readouterr().out
    assert "16x16 is too small" in fails("src.tools.benchmark", *arguments, "--size", "16", "16")


@pytest.mark.parametrize("part", ["train-step", "loss", "eval", "data"])
def test_benchmark_reports_and_writes_json(part, small_config, tmp_path, monkeypatch, capfd):
    arguments = [part, "--config", small_config, "--steps", "2", "--warmup", "1", "--json", tmp_path / "b.json"]
    arguments += ["--set", "device.mode=pynative"]
    assert run_inside(monkeypatch, "src.tools.benchmark", *arguments) == 0
    figures = json.loads((tmp_path / "b.json").read_text())
    assert figures["part"] == part
    assert figures["median_seconds"] > 0 and figures["images_per_second"] > 0 and figures["peak_memory_gib"] > 0
    assert "median_seconds" in capfd.readouterr().out


def test_prepare_data_prints_the_shares(tmp_path, monkeypatch, capfd, fails):
    arguments = ["--dataset", "shapes", "--output", tmp_path / "s", "--train", "3", "--val", "2", "--size", "32", "32"]
    assert run_inside(monkeypatch, "src.tools.prepare_data", *arguments) == 0
    output = capfd.readouterr().out
    assert "3 train, 2 val images" in output and "(ignored)" in output
    assert "exists already" in fails("src.tools.prepare_data", *arguments)
    assert "--shards 0" in fails("src.tools.prepare_data", *arguments, "--shards", "0")


def test_mistakes_end_with_status_2_in_a_process_of_its_own(tmp_path):
    command = [sys.executable, "train.py", "--config", str(tmp_path / "nowhere.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: config file not found: {tmp_path / 'nowhere.yaml'}\n"
    assert done.stdout == ""


def test_bad_configs(small_config, tmp_path, fails):
    def message(*options):
        return fails("train.py", "--config", small_config, "--output", tmp_path / "run", "--set", *options)

    assert "unknown key 'train.iteration'" in message("train.iteration=3")
    assert "train.batch_size: input should be a valid integer" in message("train.batch_size=x")
    assert "no such folder: " in message("data.name=camvid", f"data.records={tmp_path / 'new'}", "data.crop=[32,32]",
                                         "data.root=/nowhere")  # fmt: skip
    assert "batch of 25 is larger than the split 'train' with its 24" in message("train.batch_size=25")
    assert "losses.aux: decoder fpn has no such part" in message("losses.aux.weight=0.4")
    assert "class_weights: found 2 numbers, expected 7" in message("losses.ce.class_weights=[1,2]")
    assert "GPU is not available" in message("device.target=GPU")
    assert "model.backbone.weights: weights not found: /nowhere.ckpt" in message("model.backbone.weights=/nowhere.ckpt")
    assert not (tmp_path / "run").exists()


def test_crop_larger_than_the_image_needs_pad(small_config, tmp_path, monkeypatch, fails):
    arguments = ["--config", small_config, "--output", tmp_path / "run", "--set", "data.crop=[96,96]"]
    transforms = "data.train_transforms=[{name: random_crop},{name: pad},{name: normalize}]"
    options = [transforms, "train.iterations=1", "train.eval_every=0", "device.mode=pynative"]
    assert run_inside(monkeypatch, "train.py", *arguments, *options) == 0


def test_unwritable_output(trained, small_config, tmp_path, fails):
    (tmp_path / "file").write_text("")
    for program, extra in (
        ("train.py", []),
        ("eval.py", ["--checkpoint", trained / "checkpoints" / "best.ckpt"]),
    ):
        message = fails(program, "--config", small_config, "--output", tmp_path / "file" / "run", *extra)
        assert "is a file, not a folder" in message
    assert "cannot be written" in fails("train.py", "--config", small_config, "--output", "/proc/nowhere")


def test_bad_checkpoints(trained, small_config, tmp_path, fails):
    best = trained / "checkpoints" / "best.ckpt"
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(best.read_bytes()[:5000])
    other = ["--set", "model.decoder.channels=24"]
    for program, extra in (
        ("eval.py", ["--output", tmp_path / "e"]),
        ("export.py", ["--format", "MINDIR", "--output", tmp_path / "m"]),
    ):
        common = [program, "--config", small_config, *extra, "--checkpoint"]
        assert "checkpoint not found" in fails(*common, tmp_path / "no.ckpt")
        assert f"{broken}: not a readable MindSpore checkpoint, or truncated" in fails(*common, broken)
        assert "is of another model than the config describes" in fails(*common, best, *other)
    assert list(tmp_path.iterdir()) == [broken]


def test_checkpoint_of_other_classes(trained, small_config, tmp_path, fails):
    (tmp_path / "raw").mkdir()
    for folder in ("images", "annotations"):
        for split in ("train", "val"):
            (tmp_path / "raw" / folder / split).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / "raw" / folder / split / "a.png"), np.eye(64, dtype=np.uint8))
    (tmp_path / "raw" / "classes.yaml").write_text("classes: [x, y]\n")
    values = yaml.safe_load(small_config.read_text())
    values["data"] = {"name": "folder", "root": str(tmp_path / "raw"), "records": str(tmp_path / "r"), "crop": [64, 64]}
    config = tmp_path / "other.yaml"
    config.write_text(yaml.safe_dump(values))
    best = trained / "checkpoints" / "best.ckpt"
    message = fails("eval.py", "--config", config, "--checkpoint", best, "--output", tmp_path / "e")
    assert "was trained on 7 classes" in message and "the data has 2 (x, y" in message


def test_export_refuses_impossible_sizes(trained, small_config, tmp_path, fails):
    common = ["export.py", "--config", small_config, "--checkpoint", trained / "checkpoints" / "best.ckpt"]
    common += ["--format", "MINDIR", "--output", tmp_path / "m"]
    assert "--size 16 64: the network needs at least 32" in fails(*common, "--size", "16", "64")
    assert "--batch 0" in fails(*common, "--batch", "0")
