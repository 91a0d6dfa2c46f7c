"""Loading, layering, overriding, and the messages for every kind of mistake."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from src.config import dump_config, load_config
from src.data.transforms import build_transforms
from src.errors import UserError

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(ROOT.glob("config/*.yaml"))
MINIMAL = {
    "data": {"name": "shapes", "records": "data/shapes", "crop": [64, 64]},
    "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": "fpn", "channels": 32}},
    "optimizer": {"name": "adamw", "lr": 0.001},
    "train": {"iterations": 10, "batch_size": 4},
}


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    return path


def write(path: Path, values: dict) -> Path:
    path.write_text(yaml.safe_dump(values))
    return path


def test_precedence_defaults_bases_file_overrides(tmp_path):
    first = {**MINIMAL, "train": {"iterations": 1, "batch_size": 1, "log_every": 1, "seed": 1}}
    write(tmp_path / "first.yaml", first)
    write(tmp_path / "second.yaml", {"train": {"batch_size": 2, "log_every": 2, "seed": 2}})
    path = write(tmp_path / "top.yaml", {"base": ["first.yaml", "second.yaml"], "train": {"log_every": 3, "seed": 3}})
    train = load_config(path, ["train.seed=4"]).train
    assert (train.iterations, train.batch_size, train.log_every, train.seed) == (1, 2, 3, 4)
    assert train.max_bad_steps == 0  # the default


def test_resolved_config_loads_to_the_same(config_file, tmp_path):
    config = load_config(config_file, ["train.clip_norm=1e-2", "losses.ce.ohem.threshold=0.6"])
    saved = tmp_path / "saved.yaml"
    saved.write_text(dump_config(config))
    assert load_config(saved) == config
    assert config.train.clip_norm == 0.01


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_every_config_of_the_project_loads(file):
    config = load_config(file)
    build_transforms(config.data.train_transforms, config.data, "train_transforms")
    build_transforms(config.data.eval_transforms, config.data, "eval_transforms")


@pytest.mark.parametrize(("one", "other"), [("ecenet_shapes", "fpn_effnet_lite0_shapes"), ("cpt_shapes", "fpn_shapes")])
def test_configs_that_are_compared_differ_in_the_decoder_alone(one, other):
    first, second = (load_config(CONFIGS[0].with_name(f"{name}.yaml")).model_dump() for name in (one, other))
    assert first["model"].pop("decoder")["name"] != second["model"].pop("decoder")["name"]
    assert first == second


CSNET = [file for file in CONFIGS if file.stem.startswith("csnet_")]


@pytest.mark.parametrize(
    ("file", "base"),
    [(file, base) for file in CSNET for base in (["fpn"] if "_fpn_" in file.stem else ["fcn", "psp"])],
    ids=lambda value: getattr(value, "stem", value),
)
def test_csnet_and_its_baselines_differ_in_its_modules_and_loss_alone(file, base):
    baseline = base + file.name.removeprefix("csnet").removeprefix(f"_{base}")
    first = load_config(file, [f"model.decoder.base={base}"]).model_dump()
    second = load_config(file.with_name(baseline)).model_dump()
    assert first["losses"].pop("consistency") and second["losses"].pop("consistency") is None
    ours, theirs = first["model"].pop("decoder"), second["model"].pop("decoder")
    assert theirs.pop("name") == ours["base"] == base
    assert theirs == {key: ours[key] for key in theirs}
    assert first == second


def test_a_section_with_another_name_starts_afresh(config_file):
    decoder = load_config(config_file, ["model.decoder.name=fcn"]).model.decoder
    assert decoder.channels == 512  # the FCN's own default, not the FPN's 32
    decoder = load_config(config_file, ["model.decoder.channels=48", "model.decoder.name=fcn"]).model.decoder
    assert decoder.channels == 48


@pytest.mark.parametrize(
    ("value", "momentum"),
    [("off", None), ("'off'", None), ("false", None), ("on", 0.1), ("'on'", 0.1), ("{momentum: 0.5}", 0.5)],
)
def test_memory_of_cpt_is_switched_on_and_off(config_file, value, momentum):
    decoder = load_config(config_file, ["model.decoder.name=cpt", f"model.decoder.memory={value}"]).model.decoder
    assert (decoder.memory and decoder.memory.momentum) == momentum


@pytest.mark.parametrize(
    ("override", "pieces"),
    [
        ("train.batchsize=4", ["unknown key 'train.batchsize'", "did you mean 'batch_size'"]),
        ("dataa=4", ["unknown key 'dataa'", "did you mean 'data'"]),
        ("train.batch_size=many", ["train.batch_size", "valid integer", "'many'"]),
        ("train.batch_size=4.5", ["train.batch_size", "integer", "4.5"]),
        ("train.batch_size=true", ["train.batch_size", "integer", "True"]),
        ("train.batch_size=0", ["train.batch_size", "greater than or equal to 1", "0"]),
        ("optimizer.lr=-1", ["optimizer.lr", "greater than 0", "-1"]),
        ("data.crop=[3]", ["data.crop", "2 items"]),
        (
            "data.train_transforms=[{name: crop}]",
            ["data.train_transforms[0].name", "did you mean 'random_crop'"],
        ),
        ("data.train_transforms=[{name: pad, a: 1}]", ["unknown key 'data.train_transforms[0].a'"]),
        ("eval.mode=slide", ["eval", "slide needs crop and stride"]),
        ("train.accumulate=3", ["batch_size 4", "multiple of accumulate 3"]),
        ("losses.masks.weight=1", ["unknown key 'losses.masks'", "did you mean 'mask'"]),
        ("train.seed", ["section.key=value"]),
        ("train.seed=[", ["not a YAML value"]),
    ],
)
def test_mistakes_in_overrides_are_named(config_file, override, pieces):
    with pytest.raises(UserError) as caught:
        load_config(config_file, [override])
    for piece in ["--set", *pieces]:
        assert piece in str(caught.value)


def test_mistakes_name_the_file_they_stand_in(tmp_path):
    write(tmp_path / "base.yaml", {**MINIMAL, "train": {"iterations": 10, "batch_size": "four"}})
    path = write(tmp_path / "top.yaml", {"base": "base.yaml", "model": {"neck": 1}})
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert f"{tmp_path / 'base.yaml'}: train.batch_size" in str(caught.value)
    assert f"{path}: unknown key 'model.neck'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("train: [", "not a YAML file"),
        ("- 1", "expected sections"),
        ("train: {seed: 1}\ntrain: {seed: 2}", "'train' is given twice"),
        ("base: [a.yaml, b.yaml, c.yaml]", "at most two"),
        ("base: missing.yaml", "missing.yaml"),
        ("base: {a: 1}", "expected a file name"),
    ],
)
def test_broken_files_are_named(tmp_path, text, piece):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=str(path)) as caught:
        load_config(path)
    assert piece in str(caught.value)


def test_a_base_with_a_base_is_refused(tmp_path):
    write(tmp_path / "low.yaml", MINIMAL)
    write(tmp_path / "middle.yaml", {"base": "low.yaml"})
    top = write(tmp_path / "top.yaml", {"base": "middle.yaml"})
    with pytest.raises(UserError, match="no base of its own"):
        load_config(top)


def test_missing_file_suggests_the_nearest(config_file):
    with pytest.raises(UserError, match="did you mean .*experiment.yaml"):
        load_config(config_file.with_name("experimnt.yaml"))


def test_missing_key_is_named(tmp_path):
    values = {key: value for key, value in MINIMAL.items() if key != "optimizer"}
    with pytest.raises(UserError, match="key 'optimizer' is missing"):
        load_config(write(tmp_path / "x.yaml", values))


def test_loading_a_config_does_not_take_mindspore():
    """Tools and editors check configs within a second."""
    code = f"import sys; from src.config import load_config; load_config({str(CONFIGS[0])!r}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "src.schema.decoders" in loaded.stdout.split()
    assert "mindspore" not in loaded.stdout.split()
