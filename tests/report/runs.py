"""Folders of runs for the tests of the report, without a network: the first channel of an image is its prediction."""

import json
from pathlib import Path

import numpy as np

from src.config import dump_config, load_config
from src.inference.evaluator import evaluate
from src.inference.gallery import Gallery
from src.inference.report_file import write_report_file

CLASSES, COLORS = ["road", "car", "tree"], [[200, 0, 0], [0, 200, 0], [0, 0, 200]]
HEIGHT, WIDTH = 24, 36
PLAIN = ["data.mean=[0.0,0.0,0.0]", "data.std=[1.0,1.0,1.0]"]  # pixels are as they are given


def label():
    """Three vertical stripes 0, 1, 2; the top row is ignored."""
    ids = np.repeat((np.arange(WIDTH) * 3 // WIDTH)[None], HEIGHT, axis=0).astype(np.int32)
    ids[0] = 255
    return ids


def sample(name, wrong):
    """An image whose first ``wrong`` columns are predicted as the next class: (image, label, name)."""
    truth = label()
    prediction = np.where(truth == 255, 0, truth)
    prediction[:, :wrong] = (prediction[:, :wrong] + 1) % 3
    image = np.full((1, 3, HEIGHT, WIDTH), 90, np.float32)
    image[0, 0] = prediction
    return image, truth, name


def runner(image):
    return np.eye(3, dtype=np.float32)[image[:, 0].astype(int)].transpose(0, 3, 1, 2)


def write_evaluation(folder: Path, config_file: Path, wrong: dict[str, int], *overrides: str) -> Path:
    """Write the report.json of an evaluation in which image ``name`` has ``wrong[name]`` wrong columns."""
    config = load_config(config_file, [*PLAIN, *overrides])
    gallery = Gallery(len(wrong), len(CLASSES), config)
    result = evaluate(runner, [sample(*one) for one in wrong.items()], CLASSES, config.eval, "step 6", gallery=gallery)
    write_report_file(folder, result, gallery, config, "val", COLORS)
    return folder


def write_training(folder: Path, config_file: Path, losses: list[float], *overrides: str) -> Path:
    """Write the config and the log of a training with a loss for each step, and a score at the last one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(dump_config(load_config(config_file, [*PLAIN, *overrides])))
    lines = [{"step": step, "loss": loss, "ce": loss, "lr": 0.1} for step, loss in enumerate(losses, 1)]
    lines.append({"step": len(losses), "split": "val", "mIoU": 50.0 - losses[-1], "aAcc": 60.0, "mAcc": 55.0})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
