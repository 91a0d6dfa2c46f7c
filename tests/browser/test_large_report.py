"""A page with as many images as there may be: small enough for a mail, quick to open, decoded where it is looked at.

    python -m pytest -s tests/browser/test_large_report.py

prints its size and the time in which it opens.
"""

import copy
import json
import time

import numpy as np
import pytest

from src.config import load_config
from src.data.shapes import SHAPES, scene
from src.inference.evaluator import evaluate
from src.inference.gallery import Gallery
from src.inference.report_file import write_report_file
from src.report.page import IMAGES, write_report
from tests.report.runs import PLAIN, write_training

SIZE, SCENES = (360, 480), 20  # each scene is there IMAGES / SCENES times, in full


def write_large(folder, config_file, shift):
    """A run with IMAGES images, whose predictions are the labels moved by ``shift`` pixels."""
    write_training(folder, config_file, list(np.linspace(3, 1, 3000)))
    config = load_config(config_file, PLAIN)
    drawn = [scene(0, "val", index, SIZE) for index in range(SCENES)]
    moved = iter([np.roll(label, shift, (0, 1)) for _, label in drawn])

    def run(_):
        ids = np.minimum(next(moved), len(SHAPES.classes) - 1)
        return np.eye(len(SHAPES.classes), dtype=np.float32)[ids].transpose(2, 0, 1)[None]

    samples = [
        (image.transpose(2, 0, 1)[None].astype(np.float32), label.astype(np.int32), f"scene {index}")
        for index, (image, label) in enumerate(drawn)
    ]
    gallery = Gallery(SCENES, len(SHAPES.classes), config)
    result = evaluate(run, samples, SHAPES.classes, config.eval, "none", gallery=gallery)
    path = write_report_file(folder, result, gallery, config, "val", [list(color) for color in SHAPES.colors])
    content = json.loads(path.read_text())
    entries = [copy.copy(entry) for _ in range(IMAGES // SCENES) for entry in content["images"]]
    for index, entry in enumerate(entries):
        entry["name"] = f"val_{index:05d}"
    content["scores"]["images"] = len(entries)
    path.write_text(json.dumps({**content, "images": entries}))
    return folder


@pytest.mark.parametrize("count", [1, 2])
def test_500_images(page, small_config, tmp_path, count):
    runs = [write_large(tmp_path / f"run{index}", small_config, 2 + index) for index in range(count)]
    report = write_report(runs, tmp_path / "report.html")
    start = time.perf_counter()
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-ready]")
    seconds, megabytes = time.perf_counter() - start, report.stat().st_size / 1e6
    print(f"\n{IMAGES} images of {SIZE[0]}x{SIZE[1]}, {count} runs: {megabytes:.1f} MB, opened in {seconds:.2f} s")
    assert megabytes < 30 and seconds < 10  # about one on an idle machine
    assert page.locator(".card").count() == IMAGES
    assert page.locator(".card[data-drawn]").count() < 50
    page.locator(".card").last.scroll_into_view_if_needed()
    page.locator(".card[data-drawn]").last.wait_for()
    assert 0 < page.locator(".card[data-drawn]").count() < 50
