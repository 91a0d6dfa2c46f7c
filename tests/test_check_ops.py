"""Operators: every network keeps to those that Ascend and GPU have, and a graph that does not is caught."""

from collections import Counter

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.losses import build_criterion
from src.models.decoders import DECODERS, build_decoder
from src.schema import Config
from src.tools.check_ops.declarations import TABLES_OF, TARGETS, kernels
from src.tools.check_ops.graph import operators_of
from src.tools.check_ops.report import check, describe
from src.training.train_step import NetworkWithLoss
from tests.commands import run_inside
from tests.models.small import BACKBONE_OF_EACH_FAMILY, SMALL_DECODER, small_backbone

CHANNELS = (8, 12, 16, 20)
# The table in docs/deploy.md: operators that Ascend declares for its slow AI CPU alone.
AI_CPU_OPERATORS = {
    "swin_tiny": ["Unstack"],
    "mit_b0": ["Unstack"],
    "psp": ["AdaptiveAvgPool2D"],
    "ecenet": ["AdaptiveAvgPool2D", "Unstack"],
    "cpt": ["Unstack"],
}


def zeros(*shape):
    return Tensor(np.zeros(shape, np.float32))


def lacking(operators, target):
    return [finding.operator for finding in check(operators, target) if finding.lacking]


def check_declared(name, operators):
    """Every target has all operators, and Ascend those of the table alone for its AI CPU; shows the table's row."""
    findings = check(operators, "Ascend")
    sources = Counter(finding.source for finding in findings)
    slow = [finding.operator for finding in findings if finding.doubtful]
    print(f"\n{name}: {len(findings)} operators, {dict(sources)}, doubtful {slow}")
    assert {target: lacking(operators, target) for target in TARGETS} == dict.fromkeys(TARGETS, [])
    assert slow == AI_CPU_OPERATORS.get(name, [])


@pytest.fixture(autouse=True)
def installed_version():
    if ms.__version__ != TABLES_OF:
        pytest.skip(f"the tables of kernels are MindSpore {TABLES_OF}'s")


class Bad(nn.Cell):
    """An operator without a kernel on Ascend inside a named layer, and one that every device has."""

    def __init__(self):
        super().__init__()
        self.mixer = Mixer()

    def construct(self, x):
        return ops.relu(self.mixer(x))


class Mixer(nn.Cell):
    def __init__(self):
        super().__init__()
        self.einsum = ops.Einsum("ij,jk->ik")

    def construct(self, x):
        return self.einsum((x, x))


@pytest.fixture(scope="module")
def bad_graph(tmp_path_factory):
    path = tmp_path_factory.mktemp("bad") / "bad.mindir"
    ms.set_device("CPU")
    ms.export(Bad(), zeros(4, 4), file_name=str(path.with_suffix("")), file_format="MINDIR")
    return path


@pytest.mark.parametrize("name", BACKBONE_OF_EACH_FAMILY)
def test_backbones(name):
    backbone = small_backbone(name)
    backbone.set_train(False)
    operators = operators_of(backbone, zeros(1, 3, 64, 64), form="standard")
    assert operators
    check_declared(name, operators)


@pytest.mark.parametrize(
    "form, name",
    [("standard", name) for name in SMALL_DECODER]
    + [("products", "psp"), pytest.param("products", "ecenet", marks=pytest.mark.slow)]
    + [pytest.param("products", "cpt", marks=pytest.mark.slow)],
)
def test_decoders(form, name):
    """Ascend and GPU compile the standard form of the layers; exported files hold their products."""
    decoder = build_decoder(name, CHANNELS, 4, **SMALL_DECODER[name])
    decoder.set_train(False)
    maps = tuple(
        zeros(1, channels, 64 // stride, 64 // stride)
        for channels, stride in zip(CHANNELS, (4, 8, 16, 32), strict=True)
    )
    operators = operators_of(decoder, maps, form=form)
    if form == "standard":
        check_declared(name, operators)
    assert {target: lacking(operators, target) for target in TARGETS} == dict.fromkeys(TARGETS, [])


def test_no_decoder_is_left_out():
    assert set(SMALL_DECODER) == set(DECODERS)


class Gradient(nn.Cell):
    """Forward, loss and gradients, as the training step computes them."""

    def __init__(self, network, criterion):
        super().__init__(auto_prefix=False)
        self.forward = NetworkWithLoss(network, criterion)
        self.gradient = ms.value_and_grad(self.forward, None, network.trainable_params(), has_aux=True)

    def construct(self, image, label, scale, step):
        return self.gradient(image, label, scale, step)


def training_graph(name):
    """Operators of the training of a decoder on ResNet-18."""
    from src.models import build_model

    config = Config.model_validate(
        {
            "data": {"name": "shapes", "records": "unused", "crop": [64, 64]},
            "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": name, **SMALL_DECODER[name]}},
            "optimizer": {"name": "adamw", "lr": 1e-3},
            "train": {"iterations": 1, "batch_size": 2},
        }
    )
    network = build_model(config.model, 4)
    cell = Gradient(network, build_criterion(config, 4, 255)).set_train()
    label = Tensor(np.zeros((2, 64, 64), np.int32))
    return operators_of(cell, zeros(2, 3, 64, 64), label, Tensor(1.0), Tensor(1, ms.int32), form="standard")


@pytest.mark.parametrize(
    "name", [name if name == "fpn" else pytest.param(name, marks=pytest.mark.slow) for name in SMALL_DECODER]
)
def test_training(name):
    operators = training_graph(name)
    assert "Conv2DBackpropFilter" in operators
    assert {target: lacking(operators, target) for target in TARGETS} == dict.fromkeys(TARGETS, [])


def test_a_bad_graph_is_caught(bad_graph, monkeypatch, capsys):
    assert run_inside(monkeypatch, "src.tools.check_ops", bad_graph, "--target", "Ascend") == 1
    told = capsys.readouterr().out
    assert "LACKING  Einsum: no kernel declared; its docstring does not name Ascend" in told
    assert "used by mixer (Mixer)" in told
    assert "instead: ops.BatchMatMul" in told
    assert "Ascend: 2 operators, 1 lacking" in told


def test_what_a_target_has_passes(bad_graph, monkeypatch, capsys):
    assert run_inside(monkeypatch, "src.tools.check_ops", bad_graph, "--target", "GPU", "--list") == 0
    assert "ok       Einsum: kernels of the GPU plug-in; its docstring names GPU" in capsys.readouterr().out


@pytest.mark.parametrize("target", TARGETS)
def test_native_kernels_are_lacking_everywhere(target):
    told = describe(check({"Custom": ["conv1 (Conv2d)"]}, target), target, everything=False)
    assert "LACKING  Custom" in told
    assert "device.native=off" in told


def test_slow_kernels_are_doubtful():
    """A kernel that runs on the AI CPU alone."""
    (finding,) = check({"AdaptiveAvgPool2D": ["pool (Pool)"]}, "Ascend")
    assert finding.doubtful and not finding.lacking


@pytest.mark.parametrize("target", TARGETS)
def test_declarations(target):
    """The sources are read: what every device has, and no made-up name."""
    have = kernels(target)
    assert {"Conv2D", "MatMul", "Softmax", "BatchNorm", "ReLU", "Conv2DBackpropInput"} <= set(have)
    assert "Conv2E" not in have


@pytest.mark.parametrize("content", [b"not a model", b"", None])
def test_damaged_files_are_named(content, tmp_path, monkeypatch, capsys):
    path = tmp_path / "model.mindir"
    if content is not None:
        path.write_bytes(content)
    assert run_inside(monkeypatch, "src.tools.check_ops", path, "--target", "GPU") == 2
    assert str(path) in capsys.readouterr().err


def test_other_files_are_refused(tmp_path, monkeypatch, capsys):
    path = tmp_path / "model.onnx"
    path.touch()
    assert run_inside(monkeypatch, "src.tools.check_ops", path, "--target", "Ascend") == 2
    assert f"{path}: expected a .mindir; export the checkpoint with --format MINDIR" in capsys.readouterr().err


def test_config(small_config, monkeypatch, capsys):
    arguments = ("--config", small_config, "--target", "Ascend", "--size", "32", "32")
    assert run_inside(monkeypatch, "src.tools.check_ops", *arguments) == 0
    assert " 0 lacking" in capsys.readouterr().out
