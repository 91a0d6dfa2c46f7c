"""``train.init_from``: a checkpoint of the same or of other classes as the start of a training."""

import mindspore as ms
import numpy as np
import pytest
import yaml
from mindspore import Tensor

from src.checkpoint import load_checkpoint, save_checkpoint, write_checkpoint
from src.config import load_config
from src.data.pipeline import EvalPipeline
from src.data.preparation import ensure_records
from src.errors import UserError
from src.inference.evaluator import evaluate
from src.inference.runner import network_runner
from src.models import build_model
from src.models.decoders import build_decoder
from src.models.segmentor import Segmentor
from src.schema.model import ModelConfig
from src.weights.fine_tuning import load_for_fine_tuning, load_initial
from tests.commands import run_inside
from tests.conftest import SMALL
from tests.data.conftest import write_pair
from tests.models.decoders import base
from tests.models.small import SMALL_DECODER

SEVEN = ["background", "circle", "square", "triangle", "ring", "cross", "line"]
THREE = ["a", "b", "c"]


class Backbone(base.TinyBackbone):
    out_channels = base.CHANNELS


def model_of(decoder):
    return ModelConfig.model_validate(
        {"backbone": {"name": "resnet18"}, "decoder": {"name": decoder, **SMALL_DECODER[decoder]}}
    )


def network_of(decoder, classes, seed):
    """A small network all of whose numbers differ from those of another seed."""
    ms.set_seed(seed)
    network = Segmentor(Backbone(), build_decoder(decoder, base.CHANNELS, len(classes), **SMALL_DECODER[decoder]))
    generator = np.random.default_rng(seed)
    for parameter in network.get_parameters():
        if not parameter.name.endswith("state"):
            values = generator.integers(1, 1 << 20, parameter.shape) / (1 if "updates" in parameter.name else 1 << 20)
            parameter.set_data(Tensor(values, parameter.dtype))
    return network


def values_of(network):
    return {parameter.name: parameter.asnumpy().copy() for parameter in network.get_parameters()}


def changed(before, after):
    return {name for name in before if (before[name] != after[name]).any()}


def saved(path, network, classes):
    save_checkpoint(path, network, {"step": 9, "classes": classes})
    return path


@pytest.mark.parametrize("decoder", SMALL_DECODER)
@pytest.mark.parametrize("now", [THREE, SEVEN[::-1]], ids=["fewer", "as many others"])
def test_only_what_depends_on_the_classes_starts_anew(tmp_path, decoder, now):
    source, network = network_of(decoder, SEVEN, 1), network_of(decoder, now, 2)
    path, before, trained = saved(tmp_path / "best.ckpt", source, SEVEN), values_of(network), values_of(source)
    text = load_for_fine_tuning(network, model_of(decoder), path, now)
    after = values_of(network)
    states = {name for name in after if name.endswith("state")}
    other = trained if len(now) != len(SEVEN) else values_of(network_of(decoder, [*SEVEN, "more"], 3))
    depends = {name for name in after if other[name].shape != after[name].shape}
    assert {name for name in after if name.endswith(("classifier.bias", "memory.prototypes"))} <= depends
    for name in after:
        expected = before if name in depends | states else trained
        np.testing.assert_array_equal(after[name], expected[name], err_msg=name)
    total = len(after) - len(states)
    assert f"{path}: loaded {total - len(depends)} of {total} parameters\n" in text
    assert "initialized anew, because the classes differ:" in text
    assert f"classes then: 7 (background, circle, square, triangle, ring, ...); now: {len(now)} ({now[0]}, " in text


def test_same_classes_load_completely_and_score_equal(small_config, tmp_path):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    config = load_config(small_config)
    metadata = ensure_records(config.data)
    ms.set_seed(1)
    source = build_model(config.model, 7)
    path = saved(tmp_path / "best.ckpt", source, metadata.classes)
    ms.set_seed(2)
    network = build_model(config.model, 7)
    assert changed(values_of(source), values_of(network))
    text = load_for_fine_tuning(network, config.model, path, metadata.classes)
    count = len([p for p in network.get_parameters() if not p.name.endswith("state")])
    assert f"loaded {count} of {count} parameters\n" in text and "now: the same" in text and "anew" not in text
    assert all(name.endswith("state") for name in changed(values_of(source), values_of(network)))
    samples = EvalPipeline(config.data.records, "val", config.data)
    scores = [
        evaluate(network_runner(one), samples, metadata.classes, config.eval, "").report() for one in (source, network)
    ]
    assert scores[0] == scores[1]


def refused(path, decoder, classes=SEVEN):
    """The message, after which the network is what it was."""
    network = network_of(decoder, classes, 2)
    before = values_of(network)
    with pytest.raises(UserError) as error:
        load_for_fine_tuning(network, model_of(decoder), path, classes)
    assert not changed(before, values_of(network))
    return str(error.value)


@pytest.mark.parametrize("now", [THREE, SEVEN], ids=["other classes", "same classes"])
def test_another_decoder_is_refused_by_name(tmp_path, now):
    path = saved(tmp_path / "fcn.ckpt", network_of("fcn", SEVEN, 1), SEVEN)
    message = refused(path, "fpn", now)
    assert message.startswith(f"{path}: has no parameter of decoder fpn under the names of this project")
    assert "decoder.head.conv.bn.gamma" in message
    path = saved(tmp_path / "ecenet.ckpt", network_of("ecenet", SEVEN, 1), SEVEN)
    message = refused(path, "fpn", now)
    assert "of decoder fpn" in message and "expected at least 95 %" in message and "Missing" in message


def test_other_widths_are_refused(tmp_path):
    network = network_of("fpn", SEVEN, 1)
    values = values_of(network)
    values["decoder.classifier.weight"] = np.zeros((7, 9, 1, 1), np.float32)
    write_checkpoint(tmp_path / "x.ckpt", values, {"classes": SEVEN})
    for now, expected in ((SEVEN, r"(7, 8, 1, 1)"), (THREE, r"(7, 8, 1, 1)")):
        message = refused(tmp_path / "x.ckpt", "fpn", now)
        assert "does not fit decoder fpn (1 parameters differ)" in message
        assert f"decoder.classifier.weight: found (7, 9, 1, 1), expected {expected}" in message


def test_a_few_missing_parameters_are_named(tmp_path):
    values = values_of(network_of("ecenet", SEVEN, 1))
    del values["decoder.class_scores.bias"]
    write_checkpoint(tmp_path / "x.ckpt", values, {"classes": SEVEN})
    text = load_for_fine_tuning(network_of("ecenet", SEVEN, 2), model_of("ecenet"), tmp_path / "x.ckpt", SEVEN)
    assert "missing (these keep their initial values):\n  decoder.class_scores.bias" in text


def test_a_file_without_classes_is_refused(tmp_path):
    save_checkpoint(tmp_path / "x.ckpt", network_of("fpn", SEVEN, 1), {})
    assert "does not name its classes" in refused(tmp_path / "x.ckpt", "fpn")


@pytest.fixture
def three(tmp_path):
    """Arguments of a training on three classes of a folder."""
    for split, count in (("train", 4), ("val", 2)):
        for index in range(count):
            write_pair(tmp_path / "raw", split, f"{split}{index}", size=(64, 64))
    (tmp_path / "raw" / "classes.yaml").write_text("classes: [a, b, c]\n")
    raw = {"name": "folder", "root": str(tmp_path / "raw"), "records": str(tmp_path / "records"), "crop": [64, 64]}
    experiment = {**SMALL, "data": {**raw, "train_transforms": SMALL["data"]["train_transforms"]}}
    (tmp_path / "three.yaml").write_text(yaml.safe_dump(experiment))
    options = ["train.iterations=1", "train.eval_every=1", "device.mode=pynative"]
    return ["--config", tmp_path / "three.yaml", "--output", tmp_path / "run", "--set", *options]


def test_files_of_class_means_are_not_read_either(small_config, tmp_path, capsys):
    settings = ["model.decoder.name=cpt", "model.decoder.channels=16", "model.decoder.memory.init=means.npz"]
    model = load_config(small_config, settings).model
    path = saved(tmp_path / "seven.ckpt", build_model(model, 7), SEVEN)
    config = load_config(small_config, [*settings, f"train.init_from={path}"])
    load_initial(build_model(model, 7), config, SEVEN)
    assert "model.decoder.memory.init is not read, because train.init_from" in capsys.readouterr().out


def test_seven_classes_are_fine_tuned_to_three_and_resumed_without_the_file(three, tmp_path, monkeypatch, capfd):
    source = build_model(load_config(three[1]).model, 7)
    path = saved(tmp_path / "seven.ckpt", source, SEVEN)
    settings = [f"train.init_from={path}", "model.backbone.weights=nowhere.ckpt", "optimizer.lr=1e-12"]
    assert run_inside(monkeypatch, "train.py", *three, *settings) == 0
    output = capfd.readouterr().out
    assert (
        "initialized anew, because the classes differ:\n  decoder.classifier.bias\n  decoder.classifier.weight"
        in output
    )
    assert "now: 3 (a, b, c)" in output
    assert "model.backbone.weights is not read, because train.init_from gives the whole network" in output
    last = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert last.meta["classes"] == THREE
    name = "backbone.layer1.0.conv1.weight"
    np.testing.assert_allclose(last.tensors[name], values_of(source)[name], atol=1e-9)
    path.unlink()
    assert run_inside(monkeypatch, "train.py", *three, *settings, "train.iterations=2") == 0
    output = capfd.readouterr().out
    assert "resuming" in output and "at step 1" in output and "anew" not in output


def test_missing_file_is_named_with_its_key(three, monkeypatch, capfd):
    assert run_inside(monkeypatch, "train.py", *three, "train.init_from=nowhere.ckpt") == 2
    assert "train.init_from: checkpoint not found: nowhere.ckpt" in capfd.readouterr().err
