"""Options of backbones and decoders: one owner, the same errors in a file and in Python, every default arrives."""

import inspect
import json
import re

import pytest
import yaml
from pydantic import TypeAdapter

from src.config import load_config
from src.errors import UserError
from src.models import backbones, decoders
from src.models.backbones import BACKBONES, build_backbone
from src.models.decoders import DECODERS, build_decoder
from src.schema.options import UNIONS

CHANNELS = (8, 12, 16, 20)
CLASSES = {"backbone": BACKBONES, "decoder": DECODERS}
NAMES = [(part, name) for part, classes in CLASSES.items() for name in classes]
ONLY_FOR_TESTS = {"depths"}


def section(part, name):
    """The section of this name with its defaults."""
    return TypeAdapter(UNIONS[part]).validate_python({"name": name})


def build(part, name, **options):
    if part == "backbone":
        return build_backbone(name, **options)
    return build_decoder(name, CHANNELS, 5, **options)


def message(function, *arguments, **options):
    with pytest.raises(UserError) as caught:
        function(*arguments, **options)
    return str(caught.value)


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "experiment.yaml"
    values = {
        "data": {"name": "shapes", "records": "data/shapes", "crop": [64, 64]},
        "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": "fpn"}},
        "optimizer": {"name": "adamw", "lr": 0.001},
        "train": {"iterations": 10, "batch_size": 4},
    }
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize(
    ("part", "given", "pieces"),
    [
        ("decoder", {"name": "fnp"}, ["name: unknown 'fnp'; did you mean 'fpn'?", "valid: fpn, fcn"]),
        ("backbone", {"name": "swin_tinny"}, ["name: unknown 'swin_tinny'; did you mean 'swin_tiny'?", "mit_b0"]),
        ("decoder", {"name": "fpn", "chanels": 3}, ["unknown key 'chanels'; did you mean 'channels'?", "dropout"]),
        ("decoder", {"name": "fpn", "fpn": 3}, ["unknown key 'fpn'"]),
        ("backbone", {"name": "swin_tiny", "windows": 7}, ["unknown key 'windows'; did you mean 'window'?"]),
        ("backbone", {"name": "swin_tiny", "depths": [1, 1, 1, 1]}, ["unknown key 'depths'"]),
        ("decoder", {"name": "fcn", "channels": "many"}, ["channels: ", "valid integer", "found 'many'"]),
        ("decoder", {"name": "csnet", "cs_channels": 6.5}, ["cs_channels: ", "valid integer", "found 6.5"]),
        ("backbone", {"name": "resnet18", "deep_stem": 1}, ["deep_stem: ", "valid boolean", "found 1"]),
        ("backbone", {"name": "resnet18", "output_stride": 4}, ["output_stride: ", "8, 16 or 32", "found 4"]),
        ("backbone", {"name": "resnet18", "frozen_stages": 5}, ["frozen_stages: ", "less than or equal to 4", "5"]),
        ("backbone", {"name": "mit_b0", "drop_path": 1.0}, ["drop_path: ", "less than 1", "found 1.0"]),
        ("decoder", {"name": "cpt", "heads": 3}, ["channels 256 is not a multiple of heads 3"]),
        ("decoder", {"name": "ecenet", "channels": 10}, ["channels 10 is not a multiple of heads 4"]),
        ("decoder", {"name": "ecenet", "heads": 0}, ["heads: ", "greater than or equal to 1", "found 0"]),
        ("decoder", {"name": "ecenet", "mlp_ratio": 0}, ["mlp_ratio: ", "greater than or equal to 1", "found 0"]),
        ("decoder", {"name": "ecenet", "gelu": "fast"}, ["gelu: ", "'exact' or 'tanh'", "found 'fast'"]),
        ("decoder", {"name": "ecenet", "token_ratio": 0}, ["token_ratio: ", "greater than 0", "found 0"]),
        ("decoder", {"name": "ecenet", "query_activation": "gelu"}, ["query_activation: ", "'relu' or 'none'"]),
        ("decoder", {"name": "cpt", "pool_channels": 0}, ["pool_channels: ", "greater than or equal to 1", "found 0"]),
        ("decoder", {"name": "cpt", "memory": {"momentum": 1.0}}, ["memory.momentum: ", "less than 1", "found 1.0"]),
        ("decoder", {"name": "cpt", "memory": {"momentum": 0.0}}, ["memory.momentum: ", "greater than 0", "found 0.0"]),
        ("decoder", {"name": "cpt", "memory": {"init": 3}}, ["memory.init: ", "valid string", "found 3"]),
        ("decoder", {"name": "cpt", "memory": "maybe"}, ["memory: ", "found 'maybe'"]),
        (
            "decoder",
            {"name": "cpt", "source": "pixel"},
            ["source: ", "'prototypes', 'pixels' or 'bilinear'", "found 'pixel'"],
        ),
    ],
)
def test_a_mistake_is_named_alike_in_a_file_and_in_python(config_file, part, given, pieces):
    in_python = message(build, part, **given)
    in_file = message(load_config, config_file, [f"model.{part}={json.dumps(given)}"])
    for piece in pieces:
        assert piece in in_python
    assert in_python.startswith(f"build_{part}: ")
    assert in_file.startswith("--set: ")
    in_file = re.sub(rf"model\.{part}(\.|: )", "", in_file.removeprefix("--set: "))
    assert in_python.removeprefix(f"build_{part}: ") == in_file


@pytest.mark.parametrize(("part", "name"), [("backbone", "resnet18"), ("decoder", "fpn")])
def test_weights_are_not_read_when_building(part, name):
    assert f"load_{part}_weights" in message(build, part, name, weights="x.ckpt")


@pytest.mark.parametrize("name", DECODERS)
def test_maps_and_classes_that_no_decoder_takes(name):
    assert f"decoder {name}: in_channels: found 3" in message(build_decoder, name, CHANNELS[:3], 5)
    assert f"decoder {name}: num_classes: found 1, expected at least 2" in message(build_decoder, name, CHANNELS, 1)


def test_names_of_the_schema_are_those_that_can_be_built():
    for part, classes in CLASSES.items():
        assert re.search(r"\(valid: (.*)\)", message(build, part, "none"))[1].split(", ") == list(classes)


@pytest.mark.parametrize(("part", "name"), NAMES)
def test_constructors_take_the_options_of_the_section_without_defaults(part, name):
    """A default in a class would be a second owner."""
    parameters = inspect.signature(CLASSES[part][name]).parameters.values()
    options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in ONLY_FOR_TESTS}
    assert options.keys() == set(type(section(part, name)).model_fields) - {"name", "weights"}
    assert set(options.values()) == {inspect.Parameter.empty}


@pytest.mark.parametrize(("part", "name"), NAMES)
def test_every_default_of_the_section_arrives(part, name, monkeypatch):
    given = {}
    module = backbones if part == "backbone" else decoders
    monkeypatch.setitem(getattr(module, f"{part.upper()}S"), name, lambda *_, **options: given.update(options))
    build(part, name)
    assert given == section(part, name).model_dump(exclude={"name", "weights"})
    for option, value in given.items():  # and what is given replaces it, one option at a time
        if isinstance(value, bool):
            build(part, name, **{option: not value})
            assert given[option] is not value
