"""The recipes of the configs for the public data sets, number by number: the field's, and those of the public code."""

import pytest

from src.config import load_config
from tests.commands import ROOT

SWIN = {
    "optimizer": {"name": "adamw", "lr": 6e-5, "weight_decay": 0.01, "decoder_lr_multiplier": 10.0},
    "schedule": {"name": "poly", "power": 1.0, "warmup_iterations": 1500, "warmup_ratio": 1e-6, "min_lr": 0.0},
    "train": {"iterations": 160000, "batch_size": 16},
}
SGD = {
    "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "decoder_lr_multiplier": 1.0},
    "schedule": {"name": "poly", "power": 0.9, "warmup_iterations": 0, "min_lr": 1e-4},
    "train": {"iterations": 160000, "batch_size": 16},
}
WINDOWS = {"mode": "slide", "crop": [640, 640], "stride": [608, 608]}
ECENET = {"name": "ecenet", "channels": 256, "heads": 4, "query_activation": "none", "gelu": "exact"}
CPT = {"name": "cpt", "channels": 256, "heads": 4, "source": "prototypes"}
HALF = {"train": {"iterations": 80000}}

RECIPES = {
    "ecenet_swin_tiny_ade20k_512": [SWIN, {"model": {"backbone": {"drop_path": 0.2}, "decoder": ECENET}}],
    "ecenet_swin_base_ade20k_640": [
        SWIN,
        {"model": {"backbone": {"drop_path": 0.3}, "decoder": ECENET}},
        {"data": {"crop": [640, 640], "base_size": [640, 2560]}, "eval": WINDOWS},
    ],
    "ecenet_resnet50_ade20k_512": [SGD, {"model": {"decoder": ECENET}}],
    "cpt_swin_base_ade20k_640": [
        SWIN,
        {"model": {"backbone": {"drop_path": 0.3}, "decoder": CPT}},
        {"data": {"crop": [640, 640], "base_size": [640, 2560]}, "eval": WINDOWS},
    ],
    "cpt_swin_large_cityscapes_1024": [
        SWIN,
        {"optimizer": {"lr": 4e-5, "weight_decay": 0.03}, "data": {"crop": [1024, 1024]}},
        {"model": {"backbone": {"drop_path": 0.3}, "decoder": CPT}},
        {"eval": {"mode": "slide", "crop": [1024, 1024], "stride": [768, 768]}},
    ],
    "cpt_resnet101_ade20k_512": [
        SWIN,
        {"optimizer": {"weight_decay": 2e-5, "decoder_weight_decay": 0.01}, "model": {"decoder": CPT}},
    ],
    "cpt_resnet101_coco_stuff_512": [SGD, HALF, {"model": {"decoder": CPT}}],
    "csnet_resnet101_ade20k_512": [SGD],
    "csnet_resnet101_coco_stuff_512": [SGD],
    "csnet_resnet101_pascal_context_512": [SGD, HALF],
    "csnet_resnet101_cityscapes_769": [
        SGD, HALF, {"train": {"batch_size": 8}, "data": {"crop": [769, 769]}},
    ],
}  # fmt: skip


def differences(expected: dict, found: dict, place: str = "") -> list[str]:
    """The keys of ``expected`` that have another value in ``found``."""
    result = []
    for key, value in expected.items():
        if isinstance(value, dict):
            result += differences(value, found[key], f"{place}{key}.")
        elif found[key] != value:
            result.append(f"{place}{key}: {found[key]}, not {value}")
    return result


def merged(parts: list[dict]) -> dict:
    """One after the other, section by section."""
    result: dict = {}
    for part in parts:
        for key, value in part.items():
            inner = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged([result[key], value]) if inner else value
    return result


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name):
    found = load_config(ROOT / "config" / f"{name}.yaml").model_dump()
    assert differences(merged(RECIPES[name]), found) == []


def test_every_config_of_the_methods_for_a_public_set_has_its_recipe_here():
    names = [f"{method}_{backbone}" for method in ("ecenet", "cpt", "csnet") for backbone in ("resnet", "swin")]
    files = [file.stem for name in names for file in (ROOT / "config").glob(f"{name}*.yaml")]
    assert sorted(files) == sorted(RECIPES)


@pytest.mark.parametrize("name", [name for name in RECIPES if name.startswith("csnet")])
def test_consistency_loss_is_ramped(name):
    loss = load_config(ROOT / "config" / f"{name}.yaml").losses.consistency
    assert (loss.weight, loss.ramp, loss.purity) == (0.5, 0.25, 0.75)
