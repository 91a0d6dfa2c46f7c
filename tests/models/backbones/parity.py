"""Give a backbone the formula's weights and compare it with the samples of ``tests/golden/backbones.npz``."""

import importlib.util
import re
from pathlib import Path

import numpy as np
from mindspore import Tensor

GOLDEN = Path(__file__).parents[2] / "golden"
_spec = importlib.util.spec_from_file_location("golden_formula", GOLDEN / "formula.py")
formula = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(formula)

ENDINGS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def torch_names(backbone: str, name: str) -> list[str]:
    """Name in timm or transformers of one of our parameters; two names if it is a concatenation."""
    body, ending = name.rsplit(".", 1)
    name = f"{body}.{ENDINGS.get(ending, ending)}"
    if backbone.startswith("swin"):  # timm merges patches at the start of a stage
        return [re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) + 1}.downsample", name)]
    if backbone.startswith("mit"):
        return _segformer(name)
    if backbone.startswith("resnet"):  # the deep stem is a plain sequence in timm
        parts = {"0.conv": "0", "0.bn": "1", "1.conv": "3", "1.bn": "4", "2": "6"}
        return [re.sub(r"^conv1\.(\d(?:\.\w+)?)\.(\w+)$", lambda m: f"conv1.{parts[m[1]]}.{m[2]}", name)]
    return [name]


def _segformer(name: str) -> list[str]:
    top, number, rest = re.match(r"(patch_embed|block|norm)(\d)\.(.+)", name).groups()
    stage = int(number) - 1
    if top == "patch_embed":
        return [f"encoder.patch_embeddings.{stage}.{rest.replace('norm', 'layer_norm')}"]
    if top == "norm":
        return [f"encoder.layer_norm.{stage}.{rest}"]
    for ours, theirs in (
        ("attn.q.", "attention.self.query."),
        ("attn.sr.", "attention.self.sr."),
        ("attn.norm.", "attention.self.layer_norm."),
        ("attn.proj.", "attention.output.dense."),
        ("mlp.fc", "mlp.dense"),
        ("mlp.dwconv.", "mlp.dwconv.dwconv."),
    ):
        rest = rest.replace(ours, theirs)
    rest = re.sub(r"\.norm(\d)", r".layer_norm_\1", rest)
    names = [rest.replace("attn.kv.", f"attention.self.{part}.") for part in ("key", "value")]
    return [f"encoder.block.{stage}.{part}" for part in (names if "attn.kv" in rest else [rest])]


def set_weights(backbone: str, network) -> None:
    """Give every parameter its formula's value under its PyTorch name."""
    for parameter in network.get_parameters():
        if parameter.name.endswith(".state"):  # of the drop path
            continue
        names = torch_names(backbone, parameter.name)
        shape = (parameter.shape[0] // len(names), *parameter.shape[1:])
        values = np.concatenate([formula.weight(name, shape) for name in names])
        parameter.set_data(Tensor(values))


def check(case: str, backbone: str, network, size: tuple[int, int], tolerance: float = 1e-4) -> list[float]:
    """Assert that the largest difference in each stage is below ``tolerance`` standard deviations; return them."""
    golden = np.load(GOLDEN / "backbones.npz")
    key = f"{case}/{size[0]}x{size[1]}"
    set_weights(backbone, network)
    network.set_train(False)
    features = network(Tensor(formula.image(*size)))
    differences = []
    for index, (feature, std) in enumerate(zip(features, golden[f"{key}/std"], strict=True)):
        feature = feature.asnumpy()
        difference = np.abs(formula.sample(feature) - golden[f"{key}/{index}"]).max() / std
        assert difference < tolerance, f"{key}, stage {index}: {difference}"
        assert abs(feature.std() / std - 1) < 1e-4
        differences.append(float(difference))
    assert sum(p.size for p in network.trainable_params()) == golden[f"{case}/parameters"]
    return differences


def check_gradients(case: str, backbone: str, gradients: dict[str, np.ndarray], tolerance: float = 1e-3) -> None:
    """Assert that gradients, by our parameter names, agree with the golden samples.

    The tolerance is relative to a parameter's gradient, but at least to 1e-3 of the largest one: some gradients
    are zero by construction (of the keys' bias in a softmax, of a bias before a batch norm) and consist of
    rounding errors.
    """
    golden = np.load(GOLDEN / "backbones.npz")
    floor = 1e-3 * max(golden[key][0] for key in golden.files if key.startswith(f"{case}/gradient/"))
    seen = set()
    for name, gradient in gradients.items():
        names = torch_names(backbone, name)
        for torch_name, part in zip(names, np.split(gradient, len(names)), strict=True):
            expected = golden[f"{case}/gradient/{torch_name}"]
            norm = max(expected[0], floor)
            scale = max(np.abs(expected[1:]).max(), norm / part.size**0.5)
            found = formula.sample_gradient(part)
            assert abs(found[0] - expected[0]) < tolerance * norm, torch_name
            assert np.abs(found[1:] - expected[1:]).max() < tolerance * scale, torch_name
            seen.add(torch_name)
    assert len(seen) == sum(key.startswith(f"{case}/gradient/") for key in golden.files)
