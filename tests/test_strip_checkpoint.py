"""A stripped checkpoint is small, complete, and loads as fp32."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.api import load
from src.checkpoint import halved, load_checkpoint, write_checkpoint
from src.errors import UserError
from tests.commands import run_inside
from tests.untrained import META, write_run

TOOL = "src.tools.strip_checkpoint"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("strip") / "run", "fpn")


def test_half_precision(run, tmp_path, monkeypatch, capsys):
    whole, half = run / "checkpoints" / "best.ckpt", tmp_path / "half.ckpt"
    assert run_inside(monkeypatch, TOOL, run, half, "--half", "--note", "terms: none") == 0
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    printed = capsys.readouterr().out
    assert "fpn on efficientnet_lite0, shapes, step 6, seed 0" in printed
    assert "val mIoU 12.50, terms: none, SHA-256 " in printed
    before, after = load_checkpoint(whole), load_checkpoint(half)
    assert {values.dtype for values in after.tensors.values() if values.dtype.kind == "f"} == {np.dtype(np.float32)}
    assert any(
        value.dtype == ms.float16 for value in ms.load_checkpoint(str(half)).values() if isinstance(value, Tensor)
    )
    for name, values in before.tensors.items():
        np.testing.assert_allclose(after.tensors[name], values, rtol=1e-3, atol=1e-6)
    meta = after.meta
    assert (meta["classes"], meta["colors"], meta["mean"]) == (
        META["classes"],
        META["colors"],
        [123.675, 116.28, 103.53],
    )
    assert meta["provenance"]["mIoU"] == 12.5
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    model = load(half)
    np.testing.assert_allclose(model.predict(rgb).probabilities, load(run).predict(rgb).probabilities, atol=5e-3)
    assert model.explains == ()
    with pytest.raises(UserError, match="decoder fpn has nothing to show; ecenet, cpt and csnet have"):
        model.explain(rgb)


def test_small_and_huge_values_stay():
    tensors = {
        "weight": np.eye(4, dtype=np.float32),
        "variance": np.full(4, 1e-9, np.float32),
        "huge": np.full((2, 2), 1e6, np.float32),
        "state": np.zeros((2, 2), np.int32),
    }
    kept = halved(tensors)
    assert kept["weight"].dtype == np.float16
    for name in ("variance", "huge", "state"):
        assert kept[name] is tensors[name]


def test_training_state_goes_and_averages_stay(run, tmp_path, monkeypatch):
    checkpoint = load_checkpoint(run / "checkpoints" / "best.ckpt")
    name = "decoder.classifier.weight"
    state = {f"train.average.{name}": checkpoint.tensors[name] + 1, "train.moment.x": np.zeros(1000, np.float32)}
    meta = {key: value for key, value in checkpoint.meta.items() if key not in ("checksum", "mIoU")}
    folder = tmp_path / "run"
    write_checkpoint(folder / "checkpoints" / "last.ckpt", {**checkpoint.tensors, **state}, meta)
    lines = ['{"step": 3, "split": "val", "mIoU": 1.0}', '{"step": 6, "loss": 0.1}']
    lines.append('{"step": 6, "split": "val", "mIoU": 2.0}')
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    assert run_inside(monkeypatch, TOOL, folder, tmp_path / "out.ckpt") == 0
    stripped = load_checkpoint(tmp_path / "out.ckpt")
    assert stripped.tensors.keys() == checkpoint.tensors.keys()
    np.testing.assert_array_equal(stripped.tensors[name], checkpoint.tensors[name] + 1)
    assert stripped.meta["provenance"]["mIoU"] == 2.0


def test_bad_names(run, tmp_path, monkeypatch, capsys):
    best = run / "checkpoints" / "best.ckpt"
    assert run_inside(monkeypatch, TOOL, best, tmp_path / "out.mindir") == 2
    assert "out.mindir: expected a checkpoint, FILE.ckpt" in capsys.readouterr().err
    assert run_inside(monkeypatch, TOOL, best, best) == 2
    assert "is the checkpoint itself" in capsys.readouterr().err
    assert run_inside(monkeypatch, TOOL, tmp_path / "no.ckpt", tmp_path / "out.ckpt") == 2
    assert "checkpoint not found" in capsys.readouterr().err
