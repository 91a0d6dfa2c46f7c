"""The project from Python: results, explanations, training, threads, and whatever was imported before."""

import json
import subprocess
import sys
import threading

import mindspore as ms
import numpy as np
import pytest

from src.api import Explanation, Result, evaluate, load, train
from src.data.shapes import SHAPES
from src.errors import UserError
from src.models.decoders.ecenet import ECENet
from tests.commands import ROOT
from tests.conftest import SMALL
from tests.untrained import write_run

RGB = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("api") / "run", "ecenet")


@pytest.fixture(scope="module")
def model(run):
    return load(run)


def test_predict(model):
    assert model.classes == list(SHAPES.classes) and len(model.colors) == len(model.classes)
    result = model.predict(RGB)
    assert result.probabilities.shape == (7, 64, 80) and result.probabilities.dtype == np.float32
    np.testing.assert_allclose(result.probabilities.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(result.ids, result.probabilities.argmax(0))
    of_ids, largest = np.take_along_axis(result.probabilities, model.ids(RGB)[None], 0)[0], result.probabilities.max(0)
    np.testing.assert_allclose(of_ids, largest, atol=1e-6)  # rounding decides between classes that are as likely


def test_what_a_result_gives():
    probabilities = np.zeros((3, 2, 2), np.float32)
    probabilities[2], probabilities[0, 0, 0] = 0.5, 0.9
    image = np.full((2, 2, 3), 100, np.uint8)
    result = Result(image, probabilities, ["a", "b", "c"], [[0, 0, 0], [1, 1, 1], [200, 0, 40]])
    assert result.ids.tolist() == [[0, 2], [2, 2]] and result.ids.dtype == np.uint8
    assert list(result.areas().items()) == [("c", 0.75), ("a", 0.25)]
    assert result.overlay()[1, 1].tolist() == [150, 50, 70]
    np.testing.assert_array_equal(result.overlay(0), image)
    np.testing.assert_array_equal(result.overlay(1), result.colored())


def test_explain(model, tmp_path):
    shown = model.explain(RGB)
    assert isinstance(shown, Explanation) and set(shown.arrays) == set(model.explains) == set(ECENet.EXPLAINS)
    written = shown.write(tmp_path, "photo", pixel=(3, 70))
    assert [path.name for path in written] == ["photo_masks.png", "photo_diversity.png"]
    assert all(path.is_file() for path in written)
    with pytest.raises(UserError, match="pixel 64 0: lies outside the image of 64x80"):
        shown.write(tmp_path, pixel=(64, 0))


def test_other_threads_and_the_callers_mode(model):
    """Each thread has a mode of its own, which a call leaves as it was."""
    expected, found = model.ids(RGB), []
    ms.set_context(mode=ms.GRAPH_MODE)
    threads = [threading.Thread(target=lambda: found.append(model.ids(RGB))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    for ids in found:
        np.testing.assert_array_equal(ids, expected)
    assert ms.get_context("mode") == ms.GRAPH_MODE


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (RGB.astype(np.float32), r"found float32 \[64, 80, 3\]"),
        (RGB[..., 0], r"found uint8 \[64, 80\]"),
        ("photo.jpg", "found str"),
    ],
)
def test_what_is_no_image(model, image, found):
    with pytest.raises(UserError, match=found):
        model.predict(image)


def test_too_small(model):
    with pytest.raises(UserError, match="an image of 20x80 is too small"):
        model.predict(RGB[:20])


def test_train_and_evaluate(tmp_path):
    """From a dictionary to a run folder, its scores and its model; the caller's mode stays."""
    config = {**SMALL, "data": {**SMALL["data"], "records": str(tmp_path / "records")}, "device": {"mode": "pynative"}}
    folder = train(config, tmp_path / "run", overrides=["train.iterations=2", "train.eval_every=2"])
    assert folder == tmp_path / "run" and (folder / "report.html").is_file()
    scores = evaluate(folder)
    logged = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert scores["mIoU"] == pytest.approx(logged["mIoU"]) and scores["images"] == 6
    assert scores["protocol"]["mode"] == "whole" and len(scores["per_class"]) == len(SHAPES.classes)
    assert load(folder).predict(RGB).ids.shape == (64, 80)
    assert ms.get_context("mode") == ms.GRAPH_MODE
    with pytest.raises(UserError, match="already holds a run"):
        train(config, folder, resume="never")


def test_mindspore_and_pyplot_imported_first(run):
    """A notebook keeps its mode and its Matplotlib back end, and hears nothing from MindSpore's log."""
    lines = [
        "import mindspore, matplotlib, os",
        "matplotlib.use('svg')",
        "mode = mindspore.get_context('mode')",
        "from src.api import load",
        f"load({str(run)!r})",
        "import src.explain",
        "assert mindspore.get_context('mode') == mode",
        "assert matplotlib.get_backend() == 'svg'",
        "assert os.environ['ONEDNN_MAX_CPU_ISA'] == 'AVX2'",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
