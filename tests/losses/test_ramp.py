"""The ramp of a loss's weight: its values, in the criterion, and in training with a resumed half."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.checkpoint import load_checkpoint, load_network, load_state, save_checkpoint
from src.losses import build_criterion
from src.losses.criterion import Criterion
from src.losses.ramp import Ramp
from src.schema.training import SGDConfig
from src.training.optimizer import build_optimizer
from src.training.train_step import TrainStep
from tests.losses.test_criterion import config
from tests.training.test_train_step import Network


def test_values(mode):
    ramp, value = Ramp(0.5, 8), Tensor(3.0, ms.float32)
    found = [ramp(value, Tensor(step, ms.int32)).asnumpy() for step in (0, 1, 3, 4, 7)]
    np.testing.assert_allclose(found, [0, 0.75, 2.25, 3, 3], rtol=1e-6)
    for cell, step in ((ramp, None), (Ramp(0.0, 8), Tensor(0, ms.int32))):
        assert cell(value, step).asnumpy() == 3


def test_diversity_rises_in_the_total_and_not_in_the_parts():
    settings = config(
        "ecenet", diversity={"weight": 0.5, "ramp": 1.0}, **{n: {"weight": 0.0} for n in ("mask", "dice")}
    )
    settings = settings.model_copy(update={"train": settings.train.model_copy(update={"iterations": 10})})
    criterion = build_criterion(settings, 3, 255)
    logits, label = ops.zeros((1, 3, 4, 4), ms.float32), ops.zeros((1, 8, 8), ms.int32)
    outputs = (logits, logits, (ops.full((1, 6), 0.1, dtype=ms.float32),), Tensor([2.0]), logits)
    for step, factor in ((0, 0), (5, 0.5), (None, 1)):
        step = None if step is None else Tensor(step, ms.int32)
        total, parts = criterion(outputs, label, step)
        np.testing.assert_allclose(parts.asnumpy()[3], 0.7, rtol=1e-6)
        np.testing.assert_allclose(total.asnumpy(), np.log(3) + factor * 0.5 * 0.7, rtol=1e-5)


@pytest.mark.parametrize(("ramp", "needed"), [(0.0, False), (0.25, True)])
def test_the_step_is_needed_by_a_ramp_alone(ramp, needed):
    assert build_criterion(config("ecenet", diversity={"ramp": ramp}), 3, 255).needs_step == needed


class Power(nn.Cell):
    def __init__(self, exponent):
        super().__init__()
        self.exponent = exponent

    def construct(self, outputs, label):
        return (ops.reduce_mean(ops.abs(outputs - ops.expand_dims(label, 1).astype(ms.float32)) ** self.exponent),)


def training():
    ms.set_seed(1)
    network = Network().set_train()
    optimizer = build_optimizer(SGDConfig(name="sgd", lr=0.1), list(network.trainable_params()))
    losses = [(Power(2), {"square": 1.0}, Ramp(0.0, 10)), (Power(1), {"distance": 0.5}, Ramp(0.4, 10))]
    return network, TrainStep(network, Criterion(losses), optimizer, np.full(10, 0.1), accumulate=2)


def updates(step, count):
    """Totals and parts of the last half of every update."""
    random = np.random.default_rng(0)
    image = Tensor(random.standard_normal((4, 3, 8, 8)).astype(np.float32))
    label = Tensor(random.integers(0, 3, (4, 8, 8)).astype(np.int32))
    rows = []
    for _ in range(count):
        step(image, label, False)
        rows.append(step(image, label, True).asnumpy())
    return np.stack(rows)


def test_in_training_and_after_resuming(mode, tmp_path):
    """Parts of an update share its factor; the count of updates is saved with the training."""
    network, step = training()
    rows = updates(step, 3)
    save_checkpoint(tmp_path / "last.ckpt", network, {}, step.state())
    rows = np.concatenate([rows, updates(step, 3)])
    factors = np.minimum(1, np.arange(6) / 4)
    np.testing.assert_allclose(rows[:, 0], rows[:, 6] + 0.5 * factors * rows[:, 7], rtol=1e-6)
    resumed, again = training()
    checkpoint = load_checkpoint(tmp_path / "last.ckpt")
    load_network(resumed, checkpoint)
    load_state(again.state(), checkpoint)
    np.testing.assert_array_equal(updates(again, 3), rows[3:])
