"""C-S Net and its loss in training, and what is left of them in an exported file."""

import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from mindspore.train.mind_ir_pb2 import ModelProto

from src.config import load_config
from src.inference.exporter import export
from src.losses import build_criterion
from src.models.decoders import build_decoder
from src.models.segmentor import Segmentor
from src.training.optimizer import build_optimizer
from src.training.train_step import TrainStep
from tests.commands import run_inside
from tests.models.decoders.base import CHANNELS, CLASSES, TinyBackbone
from tests.models.small import SMALL_DECODER

CONSISTENCY = ["losses.consistency.min_pixels=1", "losses.consistency.scope=batch", "losses.consistency.weight=2.0"]


@pytest.fixture
def network():
    return Segmentor(TinyBackbone(), build_decoder("csnet", CHANNELS, CLASSES, **SMALL_DECODER["csnet"]))


def test_training_reaches_every_parameter(network, small_config):
    config = load_config(small_config, ["model.decoder.name=csnet", *CONSISTENCY])
    network.set_train(True)
    trained = list(network.trainable_params())
    step = TrainStep(
        network, build_criterion(config, CLASSES, 255), build_optimizer(config.optimizer, trained), [0.01] * 4
    )
    before = {parameter.name: parameter.asnumpy().copy() for parameter in trained}
    generator = np.random.default_rng(0)
    image = Tensor(generator.standard_normal((2, 3, 64, 96)).astype(np.float32))
    label = Tensor(np.kron(generator.integers(0, CLASSES, (2, 2, 3)), np.ones((1, 32, 32))).astype(np.int32))
    losses = []
    for _ in range(4):
        loss, _, finite, _, _, _, *parts = step(image, label, True).asnumpy()
        assert finite == 1
        assert loss == pytest.approx(np.dot([1, 0.4, 2, 2], parts), rel=1e-5)
        losses.append(loss)
    assert losses[-1] < losses[0]
    for parameter in trained:
        assert np.isfinite(parameter.asnumpy()).all(), parameter.name
        assert (parameter.asnumpy() != before[parameter.name]).any(), parameter.name


def test_exported_graph_is_the_network_without_what_only_training_needs(network, tmp_path):
    for parameter in network.get_parameters():  # unlike their initial values, so that all of them matter
        if parameter.dtype == ms.float32:
            value = np.random.default_rng(len(parameter.name)).uniform(0.1, 0.5, parameter.shape)
            parameter.set_data(Tensor(value.astype(np.float32)))
    exported = export(network, "MINDIR", (1, 3, 64, 96), tmp_path / "model")
    assert exported.difference <= 1e-5 * exported.largest
    model = ModelProto()
    model.ParseFromString(exported.path.read_bytes())
    found = {parameter.name.split(":")[-1] for parameter in model.graph.parameter}
    everything = {parameter.name for parameter in network.get_parameters()}
    training = {name for name in everything if ".auxiliary." in name or ".dropout." in name}
    assert training
    assert found == everything - training


def test_consistency_of_another_decoder_trains(small_config, tmp_path, monkeypatch):
    options = ["train.iterations=3", "train.eval_every=0", "device.mode=pynative", *CONSISTENCY]
    arguments = ["--config", small_config, "--output", tmp_path / "run", "--set", *options]
    assert run_inside(monkeypatch, "train.py", *arguments) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    for line in lines:
        assert line["loss"] == pytest.approx(line["ce"] + 2 * (line["intra"] + line["inter"]), rel=1e-5)
    first, *_, last = (line["intra"] + line["inter"] for line in lines)
    assert last < first


def test_ramp_follows_the_updates_and_continues_after_a_resume(network, small_config):
    """Over the first half of 8 updates; the step, which a checkpoint holds, is all it depends on."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    ramp = ["losses.consistency.ramp=0.5", "train.iterations=8"]
    config = load_config(small_config, ["model.decoder.name=csnet", *CONSISTENCY, *ramp])
    network.set_train(True)
    generator = np.random.default_rng(0)
    image = Tensor(generator.standard_normal((2, 3, 64, 96)).astype(np.float32))
    label = Tensor(np.kron(generator.integers(0, CLASSES, (2, 2, 3)), np.ones((1, 32, 32))).astype(np.int32))

    def new_step():
        optimizer = build_optimizer(config.optimizer, list(network.trainable_params()))
        return TrainStep(network, build_criterion(config, CLASSES, 255), optimizer, [1e-3] * 8)

    step = new_step()
    for iteration in range(6):
        if iteration == 3:
            resumed = new_step()
            for parameter, saved in zip(resumed.state(), step.state(), strict=True):
                parameter.set_data(saved.clone())
            step = resumed
        loss, *_ = result = step(image, label, True).asnumpy()
        weight = 2 * min(iteration / 4, 1)
        assert loss == pytest.approx(np.dot([1, 0.4, weight, weight], result[len(TrainStep.RESULT) :]), rel=1e-5)
        assert result[-1] + result[-2] > 0.01
