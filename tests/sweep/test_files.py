"""The project's own sweeps: every variant is one that can be trained, and differs from the others."""

import pytest

from src.config import dump_config
from src.losses import build_criterion
from src.models.decoders import build_decoder
from src.sweep.plan import read_sweep
from tests.commands import ROOT

FILES = sorted((ROOT / "config" / "sweeps").glob("*.yaml"))
RATES = [file for file in FILES if file.stem.startswith("rates_")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_variant(file):
    sweep = read_sweep(file, None)
    configs = {run.variant: run.config for run in sweep.runs if run.seed == sweep.settings.seeds[0]}
    assert len({dump_config(config) for config in configs.values()}) == len(configs) > 1
    for config in configs.values():
        decoder = config.model.decoder
        build_criterion(config, 11, 255)
        build_decoder(decoder.name, (8, 8, 8, 8), 11, **decoder.model_dump(exclude={"name", "weights"}))


@pytest.mark.parametrize("file", RATES, ids=lambda file: file.stem)
def test_rates_of_every_decoder(file):
    runs = read_sweep(file, None).runs
    found = {(run.config.model.decoder.name, run.config.optimizer.decoder_lr_multiplier, run.seed) for run in runs}
    names, rates = ("fpn", "ecenet", "cpt", "csnet"), (1, 2, 5, 10)
    assert found == {(name, rate, run.seed) for name in names for rate in rates for run in runs}
    backbones = [run.config.model.backbone for run in runs]
    assert len({(backbone.name, backbone.weights) for backbone in backbones}) == 1


def test_the_sweeps_that_are_promised():
    names = ["camvid_ablations", "camvid_recipe", "cpt_ablations", "csnet_bases", "ecenet_ablations"]
    names += ["ecenet_scratch", "rates_camvid", "rates_shapes_imagenet", "rates_shapes_scratch"]
    assert [file.stem for file in FILES] == names


def test_the_example_of_the_documentation(tmp_path):
    text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    file = tmp_path / "updates.yaml"
    file.write_text(text.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    (tmp_path / "config").symlink_to(ROOT / "config")
    runs = read_sweep(file, None).runs
    assert [(run.variant, run.seed) for run in runs[::2]] == [("ecenet", 0), ("fpn", 0), ("no_update", 1)]
    assert runs[1].config.model.decoder.token_update is False
    assert runs[2].config.model.decoder.name == "fpn"
