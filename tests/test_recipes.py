"""The recipes of the configs for the public data sets, number by number: the field's, and those of the public code."""

from functools import reduce
from operator import getitem

import pytest

from src.config import load_config
from tests.commands import ROOT

SWIN = {
    "optimizer.name": "adamw",
    "optimizer.lr": 6e-5,
    "optimizer.weight_decay": 0.01,
    "optimizer.decoder_lr_multiplier": 10.0,
    "schedule.name": "poly",
    "schedule.power": 1.0,
    "schedule.warmup_iterations": 1500,
    "schedule.warmup_ratio": 1e-6,
    "schedule.min_lr": 0.0,
    "train.iterations": 160000,
    "train.batch_size": 16,
}
SGD = {
    "optimizer.name": "sgd",
    "optimizer.lr": 0.01,
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 5e-4,
    "optimizer.decoder_lr_multiplier": 1.0,
    "schedule.name": "poly",
    "schedule.power": 0.9,
    "schedule.warmup_iterations": 0,
    "schedule.min_lr": 1e-4,
    "train.iterations": 160000,
    "train.batch_size": 16,
}
HALF = {"train.iterations": 80000}
DECODER = {"model.decoder.channels": 256, "model.decoder.heads": 4, "model.decoder.gelu": "exact"}
ECENET = {**DECODER, "model.decoder.name": "ecenet", "model.decoder.query_activation": "none"}
CPT = {**DECODER, "model.decoder.name": "cpt", "model.decoder.source": "prototypes"}
CSNET = {
    **SGD,
    "model.decoder.name": "csnet",
    "model.backbone.output_stride": 8,
    "losses.consistency.weight": 0.5,
    "losses.consistency.ramp": 0.25,
    "losses.consistency.purity": 0.75,
}
AT_640 = {
    "model.backbone.drop_path": 0.3,
    "data.crop": [640, 640],
    "data.base_size": [640, 2560],
    "eval.mode": "slide",
    "eval.crop": [640, 640],
    "eval.stride": [608, 608],
}
AT_1024 = {
    "model.backbone.drop_path": 0.3,
    "data.crop": [1024, 1024],
    "eval.mode": "slide",
    "eval.crop": [1024, 1024],
    "eval.stride": [768, 768],
}

RECIPES = {
    "ecenet_swin_tiny_ade20k_512": {**SWIN, **ECENET, "model.backbone.drop_path": 0.2},
    "ecenet_swin_base_ade20k_640": {**SWIN, **ECENET, **AT_640},
    "ecenet_resnet50_ade20k_512": {**SGD, **ECENET},
    "cpt_swin_base_ade20k_640": {**SWIN, **CPT, **AT_640},
    "cpt_swin_large_cityscapes_1024": {
        **SWIN, **CPT, **AT_1024, "optimizer.lr": 4e-5, "optimizer.weight_decay": 0.03,
    },
    "cpt_resnet101_ade20k_512": {
        **SWIN, **CPT, "optimizer.weight_decay": 2e-5, "optimizer.decoder_weight_decay": 0.01,
    },
    "cpt_resnet101_coco_stuff_512": {**SGD, **CPT, **HALF},
    "csnet_resnet101_ade20k_512": CSNET,
    "csnet_resnet101_coco_stuff_512": CSNET,
    "csnet_resnet101_pascal_context_512": {**CSNET, **HALF},
    "csnet_resnet101_cityscapes_769": {**CSNET, **HALF, "train.batch_size": 8, "data.crop": [769, 769]},
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name):
    config = load_config(ROOT / "config" / f"{name}.yaml").model_dump()
    assert {key: reduce(getitem, key.split("."), config) for key in RECIPES[name]} == RECIPES[name]


def test_every_config_of_the_methods_for_a_public_set_has_its_recipe_here():
    names = [f"{method}_{backbone}" for method in ("ecenet", "cpt", "csnet") for backbone in ("resnet", "swin")]
    files = [file.stem for name in names for file in (ROOT / "config").glob(f"{name}*.yaml")]
    assert sorted(files) == sorted(RECIPES)
