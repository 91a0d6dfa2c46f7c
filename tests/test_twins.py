"""The PyTorch twins in ``benchmarks`` compute what the project computes: same weights, same losses, same gradients.

They run in ``benchmarks/.venv``; without it these tests are skipped.
"""

import mindspore as ms
import numpy as np
import pytest
import yaml
from mindspore import Tensor

from src.config import load_config
from src.data.info import IGNORE
from src.losses import build_criterion
from src.models import build_model
from src.models.complexity import multiply_adds
from src.tools.benchmark.steps import random_batch
from src.tools.benchmark.twin import PYTHON, run_twin
from tests.conftest import SMALL

CLASSES = 5
ENDINGS = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"
}  # fmt: skip

pytestmark = pytest.mark.skipif(not PYTHON.is_file(), reason="no benchmarks/.venv; bash benchmarks/setup.sh makes it")

MODELS = {
    # Swin's twin knows no map of a single window, so its image is large.
    "swin_tiny, fpn": ({"name": "swin_tiny", "drop_path": 0}, {"name": "fpn", "channels": 16}, 256),
    "efficientnet_lite0, ecenet": (
        {"name": "efficientnet_lite0"},
        {"name": "ecenet", "channels": 16, "query_activation": "none"},
        64,
    ),
    "resnet18, cpt": ({"name": "resnet18"}, {"name": "cpt", "channels": 16}, 64),
    "resnet18, csnet": (
        {"name": "resnet18", "output_stride": 8},
        {"name": "csnet", "channels": 16, "cs_channels": 8, "auxiliary_channels": 8},
        96,
    ),
    "resnet18, csnet on psp": (
        {"name": "resnet18", "output_stride": 8},
        {"name": "csnet", "base": "psp", "channels": 16, "cs_channels": 8, "auxiliary_channels": 8},
        96,
    ),
    "resnet18, csnet on fpn": (
        {"name": "resnet18"}, {"name": "csnet", "base": "fpn", "channels": 16, "cs_channels": 8}, 64
    ),
    "resnet18, psp": ({"name": "resnet18"}, {"name": "psp", "channels": 16, "auxiliary_channels": 8}, 96),
}  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_a_twin_equals_the_network(model, tmp_path):
    backbone, decoder, side = MODELS[model]
    content = {
        **SMALL,
        "data": {**SMALL["data"], "records": "none", "crop": [side, side]},
        "model": {"backbone": backbone, "decoder": {**decoder, "dropout": 0}},
        "train": {"iterations": 1, "batch_size": 2},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    config = load_config(tmp_path / "config.yaml")

    ms.set_context(mode=ms.PYNATIVE_MODE)
    network = build_model(config.model, CLASSES).set_train()
    np.savez(tmp_path / "weights.npz", **torch_weights(network))
    criterion = build_criterion(config, CLASSES, IGNORE)
    image, label = map(Tensor, random_batch(config, CLASSES))
    weights = network.trainable_params()
    step = ms.value_and_grad(lambda: criterion(network(image), label), None, weights, has_aux=True)
    (total, parts), gradients = step()

    twin = run_twin("check", config, CLASSES, weights=tmp_path / "weights.npz")
    assert twin["parameters"] == sum(weight.size for weight in weights)
    assert twin["total"] == pytest.approx(float(total), rel=1e-4)
    assert twin["parts"] == pytest.approx(
        dict(zip(criterion.part_names, parts.asnumpy().tolist(), strict=True)), rel=1e-3
    )
    for weight, gradient in zip(weights, gradients, strict=True):
        expected = np.linalg.norm(gradient.asnumpy())
        assert twin["gradients"][torch_name(weight.name)] == pytest.approx(expected, rel=2e-2, abs=1e-4), weight.name

    counts = multiply_adds(network, image[:1])
    assert twin["multiply_adds"] == pytest.approx(sum(counts.values()), rel=0.02)


def torch_name(name):
    prefix, _, ending = name.rpartition(".")
    return f"{prefix}.{ENDINGS.get(ending, ending)}"


def torch_weights(network):
    """Values by the twin's names; a dropout's state has no counterpart."""
    named = ((p.name, p) for p in network.get_parameters())
    return {torch_name(name): p.asnumpy() for name, p in named if not name.endswith(".state")}


def test_a_twin_says_what_it_does_not_have(tmp_path):
    model = {"backbone": {"name": "resnet18", "deep_stem": True}, "decoder": {"name": "fpn"}}
    content = {**SMALL, "data": {**SMALL["data"], "records": "none"}, "model": model}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(Exception, match="deep_stem False only"):
        run_twin("check", load_config(tmp_path / "config.yaml"), CLASSES)
