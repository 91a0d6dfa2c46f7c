"""AdamW and SGD against their formulas in NumPy float64; parameter groups."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from src.schema.training import AdamWConfig, SGDConfig
from src.training.optimizer import build_optimizer, weight_decay_of

ADAMW = AdamWConfig(name="adamw", lr=0.01, weight_decay=0.1, decoder_lr_multiplier=10.0)
SGD = SGDConfig(name="sgd", lr=0.01, weight_decay=0.1, momentum=0.8, decoder_lr_multiplier=10.0)
SHAPES = {
    "backbone.conv.weight": (4, 3, 1, 1),
    "backbone.bn.gamma": (4,),
    "backbone.attention.relative_position_bias_table": (9, 2),
    "decoder.classifier.weight": (2, 4),
    "decoder.classifier.bias": (2,),
}
DECAY = {"backbone.conv.weight": 0.1, "decoder.classifier.weight": 0.1}  # of all others: none


def numpy_adamw(weight, gradients, rates, decay):
    m, v = np.zeros_like(weight), np.zeros_like(weight)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        weight = weight * (1 - rate * decay)
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        weight = weight - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return weight


def numpy_sgd(weight, gradients, rates, decay):
    velocity = np.zeros_like(weight)
    for gradient, rate in zip(gradients, rates, strict=True):
        velocity = 0.8 * velocity + gradient + decay * weight
        weight = weight - rate * velocity
    return weight


@pytest.mark.parametrize(("config", "reference"), [(ADAMW, numpy_adamw), (SGD, numpy_sgd)], ids=["adamw", "sgd"])
def test_four_updates_equal_the_formula(mode, config, reference):
    random = np.random.default_rng(0)
    start = {name: random.standard_normal(shape) for name, shape in SHAPES.items()}
    parameters = [Parameter(Tensor(value, ms.float32), name=name) for name, value in start.items()]
    # Gradients down to 1e-7, where the place of eps in the formula shows.
    scales = [1.0, 1e-2, 1e-5, 1e-7]
    gradients = [{n: scale * random.standard_normal(s) for n, s in SHAPES.items()} for scale in scales]
    rates = [0.01, 0.008, 0.005, 0.001]
    optimizer = build_optimizer(config, parameters)
    for step, rate in zip(gradients, rates, strict=True):
        optimizer(tuple(Tensor(g, ms.float32) for g in step.values()), Tensor(rate, ms.float32))
    for parameter in parameters:
        name = parameter.name
        multiplier = 10.0 if name.startswith("decoder.") else 1.0
        expected = reference(
            start[name], [g[name] for g in gradients], [multiplier * r for r in rates], DECAY.get(name, 0.0)
        )
        np.testing.assert_allclose(parameter.asnumpy(), expected, rtol=2e-5, atol=1e-7, err_msg=name)


def test_weight_decay_of_the_decoder():
    config = AdamWConfig(name="adamw", lr=0.01, weight_decay=0.1, decoder_weight_decay=0.0)
    parameters = [Parameter(Tensor(np.ones(s, np.float32)), name=n) for n, s in SHAPES.items()]
    found = {p.name: weight_decay_of(p, config) for p in parameters}
    assert found == {name: 0.1 if name == "backbone.conv.weight" else 0.0 for name in SHAPES}
    config = AdamWConfig(name="adamw", lr=0.01, weight_decay=0.1, decoder_weight_decay=0.2)
    assert [weight_decay_of(p, config) for p in parameters] == [0.1, 0, 0, 0.2, 0]


@pytest.mark.parametrize("config", [ADAMW, SGD], ids=["adamw", "sgd"])
def test_state_names_are_unique_and_start_at_zero(config):
    parameters = [Parameter(Tensor(np.ones(s, np.float32)), name=n) for n, s in SHAPES.items()]
    state = build_optimizer(config, parameters).state()
    assert len({p.name for p in state}) == len(state) >= len(parameters)
    assert all((p.asnumpy() == 0).all() for p in state)
