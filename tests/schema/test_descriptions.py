"""What is generated from the schema: every key described, types in words, the two files, and what an editor accepts."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from src.config import dump_config, load_config, read_layer
from src.schema.json_schema import full_schema
from src.schema.tables import type_text
from tests.commands import run_inside

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(ROOT.glob("config/*.yaml"))
FILES = [*CONFIGS, *sorted(ROOT.glob("config/_base_/*.yaml"))]
EDITOR = jsonschema.Draft7Validator(json.loads((ROOT / "config" / "schema.json").read_text(encoding="utf-8")))
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
MARKER = next(line for line in PAGE.splitlines() if line.startswith("<!-- Generated"))
FPN = {"name": "fpn", "channels": 64}


def sections():
    schema = full_schema()
    return {"Config": schema, **schema["$defs"]}


@pytest.mark.parametrize("name", sections())
def test_every_key_has_a_sentence(name):
    section = sections()[name]
    for key, value in {name: section, **section["properties"]}.items():
        text = value["description"]
        assert text[0].isupper() or not text[0].isalpha() or text[0] == "ρ", key
        assert text.endswith("."), key
        assert "|" not in text, f"{key}: would end a cell of the table"


@pytest.mark.parametrize(
    ("section", "key", "words"),
    [
        ("FPNConfig", "channels", "integer ≥ 1"),
        ("FPNConfig", "dropout", "number in [0, 1)"),
        ("FPNConfig", "weights", "text or `null`"),
        ("ResNetConfig", "frozen_stages", "integer in [-1, 4]"),
        ("ResNetConfig", "norm_eval", "`true` or `false`"),
        ("ECENetConfig", "gelu", "one of `exact`, `tanh`"),
        ("ECENetConfig", "token_ratio", "number > 0"),
        ("AverageConfig", "decay", "number in (0, 1)"),
        ("DataConfig", "crop", "[height, width], integers ≥ 1"),
        ("DataConfig", "train_transforms", "list of sections, by `name`"),
        ("CrossEntropyConfig", "class_weights", "list of numbers ≥ 0 or `null`"),
        ("EvalConfig", "scales", "non-empty list of numbers > 0"),
        ("LossesConfig", "ce", "section or `null`"),
        ("Config", "optimizer", "section, by `name`"),
    ],
)
def test_types_in_words(section, key, words):
    assert type_text(sections()[section]["properties"][key]) == words


def test_files_are_up_to_date_and_made_without_mindspore():
    code = "import sys; from src.tools.describe_config import main; main(); print(*sys.modules)"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert made.returncode == 0, made.stderr.splitlines()[-1]
    assert "mindspore" not in made.stdout.split()


def test_stale_files_are_named_and_written(tmp_path, monkeypatch, capsys):
    def run(*arguments):
        return run_inside(monkeypatch, "src.tools.describe_config", "--root", tmp_path, *arguments)

    page = tmp_path / "docs" / "configuration.md"
    assert run() == 2
    assert "configuration.md: the line after which the generated part begins is missing" in capsys.readouterr().err
    page.parent.mkdir()
    page.write_text(f"# By hand\n{MARKER}\nold\n", encoding="utf-8")
    assert run() == 2
    expected = "docs/configuration.md and config/schema.json: out of date with src/schema; run: python -m src.tools"
    assert expected in capsys.readouterr().err
    assert run("--write") == 0
    assert run() == 0
    assert page.read_text(encoding="utf-8").startswith(f"# By hand\n{MARKER}\n\n## Sections")
    (tmp_path / "config" / "schema.json").write_text("{}")
    assert run() == 2
    assert "error: config/schema.json: out of date" in capsys.readouterr().err


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_editor_accepts_every_file_of_the_project(file):
    EDITOR.validate(read_layer(file))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_an_editor_accepts_resolved_configs(file):
    EDITOR.validate(yaml.safe_load(dump_config(load_config(file))))


@pytest.mark.parametrize(
    ("values", "accepted"),
    [
        ({"base": "quickstart.yaml"}, True),
        ({"base": ["a.yaml", "b.yaml", "c.yaml"]}, False),
        ({"train": {"batch_size": 4}}, True),
        ({"train": {"batchsize": 4}}, False),
        ({"train": {"batch_size": 0}}, False),
        ({"train": {"batch_size": "4"}}, False),
        ({"traim": {}}, False),
        ({"model": {"decoder": {"channels": 64}}}, True),  # the name may stand in a base layer
        ({"model": {"decoder": FPN}}, True),
        ({"model": {"decoder": {**FPN, "heads": 4}}}, False),
        ({"model": {"decoder": {"name": "fnp"}}}, False),
        ({"model": {"decoder": {"name": "cpt", "memory": "off"}}}, True),
        ({"model": {"decoder": {"name": "cpt", "memory": {"momentum": 0.5}}}}, True),
        ({"model": {"decoder": {"name": "cpt", "memory": "maybe"}}}, False),
        ({"data": {"crop": [64]}}, False),
        ({"data": {"train_transforms": [{"name": "pad"}]}}, True),
        ({"data": {"train_transforms": [{"probability": 0.5}]}}, False),  # lists are given whole
    ],
    ids=json.dumps,
)
def test_what_an_editor_accepts(values, accepted):
    assert EDITOR.is_valid(values) == accepted
