"""The generated experiment."""

import numpy as np
import pytest

from src.config import load_config
from src.data.importers.config import make_config
from src.data.transforms import build_transforms

NAMES = ("background", "leaf", "it's: 100 % #1")


def load(tmp_path, sizes, output="data/mine", counts=None, share=(0.6, 0.39, 0.01), text=None):
    path = tmp_path / "config.yaml"
    counts = counts or (len(sizes), max(1, len(sizes) // 4))
    path.write_text(text or make_config(tmp_path / output, sizes, counts, NAMES, np.array(share)))
    return load_config(path)


@pytest.mark.parametrize(
    ("sizes", "crop", "base"),
    [
        ([(360, 480)] * 20, [352, 480], None),
        ([(480, 640)] * 10 + [(640, 480)] * 10, [480, 480], None),
        ([(700, 900)] * 20, [512, 512], None),
        ([(3024, 4032)] * 15 + [(4032, 3024)] * 5, [512, 512], [512, 2048]),
        ([(200, 300)] * 15 + [(900, 1200)] * 5, [192, 192], [192, 768]),
        ([(40, 50)] * 20, [32, 32], None),
        ([(20, 20)] * 20, [32, 32], None),
        ([(768, 100)] * 20, [512, 96], None),
    ],
)
def test_crops_fit_the_images(sizes, crop, base, tmp_path):
    config = load(tmp_path, sizes)
    assert config.data.crop == crop
    assert config.data.base_size == base
    assert config.model.backbone.weights == "package"
    assert config.data.mean == config.data.std == [127.5] * 3
    image, label = np.zeros((*sizes[0], 3), np.uint8), np.zeros(sizes[0], np.uint8)
    image, label = build_transforms(config.data.train_transforms, config.data, "train_transforms")(
        image, label, np.random.default_rng(0)
    )
    assert image.shape == (3, *crop)
    assert label.shape == tuple(crop)
    image, _ = build_transforms(config.data.eval_transforms, config.data, "eval_transforms")(
        np.zeros((*sizes[0], 3), np.uint8), None, np.random.default_rng(0)
    )
    assert min(image.shape[1:]) == (base[0] if base else min(sizes[0]))


@pytest.mark.parametrize(
    ("images", "batch", "iterations", "rate"),
    [(1, 1, 500, 1.8e-4), (4, 4, 500, 3.5e-4), (160, 8, 1200, 5e-4), (100_000, 8, 20_000, 5e-4)],
)
def test_length_of_training_follows_the_number_of_images(images, batch, iterations, rate, tmp_path):
    config = load(tmp_path, [(64, 64)], counts=(images, 1))
    assert (config.train.batch_size, config.train.iterations) == (batch, iterations)
    assert config.optimizer.lr == pytest.approx(rate)
    assert config.train.iterations % config.train.eval_every == 0


def test_class_weights_are_suggested_for_rare_classes_and_can_be_taken(tmp_path):
    text = make_config(tmp_path, [(64, 64)], (16, 4), NAMES, np.array([0.7, 0.29, 0.01]))
    assert """# Less than 2% of the pixels: "it's: 100 % #1".""" in text
    assert load(tmp_path, [], text=text).losses.ce is None
    weights = load(tmp_path, [], text=text.replace("# losses:", "losses:")).losses.ce.class_weights
    assert weights == pytest.approx([np.sqrt(0.29 / 0.7), 1, 5], abs=0.15)
    assert weights == sorted(weights)
    assert "losses" not in make_config(tmp_path, [(64, 64)], (16, 4), NAMES, np.array([0.5, 0.3, 0.2]))


@pytest.mark.parametrize("output", ["my data", "it's", 'a"b', "#1: x", "größe"])
def test_any_path_can_be_the_output(output, tmp_path):
    config = load(tmp_path, [(64, 64)] * 4, output)
    assert config.data.root == str(tmp_path / output)
    assert config.data.records == str(tmp_path / output / "records")
