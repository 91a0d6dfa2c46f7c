"""Class means of a backbone's deepest map: the numbers, the command and its files."""

import numpy as np
import pytest

from src.checkpoint import load_checkpoint
from src.errors import UserError
from src.tools.class_means import class_means
from src.weights.reading import read_tensors
from tests.commands import run_inside


def test_means_of_the_positions_of_each_class():
    """A map of 2x2 positions; each takes the label of its cell."""
    maps = {0.0: np.array([[[1, 2], [3, 4]], [[0, 0], [8, 0]]]), 1.0: np.array([[[7, 0], [0, 0]], [[5, 0], [0, 0]]])}
    labels = [np.kron([[0, 2], [0, 255]], np.ones((2, 2))), np.kron([[2, 255], [255, 255]], np.ones((2, 2)))]
    samples = [(np.full((1, 3, 4, 4), i, np.float32), labels[i].astype(np.int32), f"image {i}") for i in range(2)]
    means, pixels = class_means(lambda image: maps[float(image.max())][None].astype(np.float32), samples, 4)
    np.testing.assert_allclose(means, [[2, 4], [0, 0], [4.5, 2.5], [0, 0]])
    assert means.dtype == np.float32
    assert pixels.tolist() == [2, 0, 2, 0]


def test_map_that_is_not_finite():
    sample = (np.zeros((1, 3, 4, 4)), np.zeros((4, 4), np.int32), "b7")
    with pytest.raises(UserError, match="image b7: the backbone's features are not finite"):
        class_means(lambda image: np.full((1, 2, 1, 1), np.inf), [sample], 2)


@pytest.mark.parametrize("name", ["means.npz", "means.ckpt"])
def test_command(name, small_config, tmp_path, monkeypatch, capsys):
    output = tmp_path / "new" / name
    arguments = ["--config", small_config, "--output", output, "--set", "device.mode=pynative"]
    assert run_inside(monkeypatch, "src.tools.class_means", *arguments) == 0
    assert "wrote" in capsys.readouterr().out
    found = read_tensors(output)
    assert found["means"].shape == (7, 512)
    assert found["pixels"].shape == (7,)
    assert found["pixels"].sum() > 0
    assert np.isfinite(found["means"]).all()
    if name.endswith(".ckpt"):
        assert load_checkpoint(output).meta["backbone"] == "resnet18"


def test_other_suffix(small_config, tmp_path, monkeypatch, capsys):
    arguments = ["--config", small_config, "--output", tmp_path / "means.npy"]
    assert run_inside(monkeypatch, "src.tools.class_means", *arguments) == 2
    assert "means.npy: expected a name that ends with .npz or .ckpt" in capsys.readouterr().err
