"""The compiled step: clipping, accumulation, and that a step that is not finite changes nothing."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.schema.training import SGDConfig
from src.training.optimizer import build_optimizer
from src.training.train_step import TrainStep

RATES = np.linspace(0.1, 0.01, 10)


class Network(nn.Cell):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Conv2d(3, 6, 3, has_bias=True)
        self.norm = nn.BatchNorm2d(6, momentum=0.5)
        self.decoder = nn.Conv2d(6, 2, 1)

    def construct(self, image):
        return self.decoder(ops.relu(self.norm(self.backbone(image))))


class Criterion(nn.Cell):
    part_names = ("square", "double")

    def construct(self, outputs, label):
        loss = ops.reduce_mean((outputs - ops.expand_dims(label, 1).astype(ms.float32)) ** 2)
        return loss, ops.stack((loss, 2 * loss))


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    image = random.standard_normal((8, 3, 12, 12)).astype(np.float32)
    return image, random.integers(0, 3, (8, 12, 12)).astype(np.int32)


def build(average=lambda network: None, **options):
    ms.set_seed(1)
    np.random.seed(1)
    network = Network().set_train()
    optimizer = build_optimizer(SGDConfig(name="sgd", lr=0.1), list(network.trainable_params()))
    return network, TrainStep(network, Criterion(), optimizer, RATES, average=average(network), **options)


def values(cell):
    return {parameter.name: parameter.asnumpy().copy() for parameter in cell.get_parameters()}


def test_result_holds_loss_norm_rate_and_parts(mode, batch):
    network, step = build()
    before = values(network)
    first = step(*map(Tensor, batch), True).asnumpy()
    after_first = values(network)
    second = step(*map(Tensor, batch), True).asnumpy()
    loss, norm, finite, rate, scale, stop, square, double = first
    assert (finite, scale, stop) == (1, 1, 0)
    assert loss == square == double / 2
    assert rate == np.float32(RATES[0])
    assert second[3] == np.float32(RATES[1])
    assert second[0] < loss
    # The first update of SGD is rate * (gradient + decay * weight) for weights, rate * gradient for the others.
    squares = 0.0
    for parameter in network.trainable_params():
        decay = 0.01 if parameter.ndim > 1 else 0.0
        gradient = (before[parameter.name] - after_first[parameter.name]) / RATES[0] - decay * before[parameter.name]
        squares += (gradient.astype(np.float64) ** 2).sum()
    assert norm == pytest.approx(np.sqrt(squares), rel=1e-3)
    assert all((values(network)[name] != before[name]).any() for name in before)


def test_parameter_names_stay_those_of_the_network(batch):
    network, step = build(accumulate=2, protect_state=True)
    step(*map(Tensor, batch), False)
    assert [p.name for p in network.trainable_params()][0] == "backbone.weight"


def test_clipping_limits_the_norm_of_the_update(mode, batch):
    moved = {}
    for clip in (None, 0.05):
        network, step = build(clip_norm=clip)
        before = values(network)
        norm = step(*map(Tensor, batch), True).asnumpy()[1]
        after = values(network)
        moved[clip] = {p.name: (before[p.name] - after[p.name]) / RATES[0] for p in network.trainable_params()}
    decay = 0.01 * before["backbone.weight"]
    full, clipped = (moved[c]["backbone.weight"] - decay for c in (None, 0.05))
    assert norm > 0.05
    np.testing.assert_allclose(clipped, full * 0.05 / norm, rtol=2e-3, atol=1e-5)


def test_accumulated_parts_equal_the_whole_batch(mode, batch):
    whole_network, whole = build(clip_norm=0.5)
    part_network, part = build(clip_norm=0.5, accumulate=4)
    for network in (whole_network, part_network):
        network.norm.set_train(False)  # batch statistics of a part differ from those of the whole
    for _ in range(3):
        whole_norm = whole(*map(Tensor, batch), True).asnumpy()[1]
        for index in range(4):
            rows = slice(2 * index, 2 * index + 2)
            result = part(Tensor(batch[0][rows]), Tensor(batch[1][rows]), index == 3).asnumpy()
        assert result[1] == pytest.approx(whole_norm, rel=1e-5)
    for name, value in values(whole_network).items():
        np.testing.assert_allclose(values(part_network)[name], value, rtol=1e-5, atol=1e-7, err_msg=name)


def test_a_step_that_is_not_finite_changes_nothing_but_the_iteration(mode, batch):
    network, step = build(protect_state=True)
    step(*map(Tensor, batch), True)
    before, state = values(network), {p.name: p.asnumpy().copy() for p in step.state()}
    broken = batch[0].copy()
    broken[0, 0, 0, 0] = np.nan
    assert step(Tensor(broken), Tensor(batch[1]), True).asnumpy()[2] == 0
    for name, value in values(network).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    for parameter in step.state():
        expected = state[parameter.name] + (1 if parameter.name == "iteration" else 0)
        np.testing.assert_array_equal(parameter.asnumpy(), expected, err_msg=parameter.name)
    assert step(*map(Tensor, batch), True).asnumpy()[2] == 1


def test_protected_state_is_that_of_loaded_weights(batch):
    network, step = build(protect_state=True)
    network.norm.moving_mean.set_data(Tensor(np.full(6, 3.0, np.float32)))
    step.keep_network_state()
    broken = np.full_like(batch[0], np.nan)
    step(Tensor(broken), Tensor(batch[1]), True)
    np.testing.assert_array_equal(network.norm.moving_mean.asnumpy(), 3.0)
