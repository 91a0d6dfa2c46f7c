"""Building networks from a configuration."""

import mindspore as ms
import numpy as np
from mindspore import Tensor

from src.models import build_model
from src.schema.model import ModelConfig
from tests.models.small import SMALL_DECODER


def config(decoder):
    return ModelConfig.model_validate(
        {"backbone": {"name": "resnet18"}, "decoder": {"name": decoder, **SMALL_DECODER[decoder]}}
    )


def test_parameters_are_named_after_the_two_parts():
    network = build_model(config("fpn"), 5)
    names = [parameter.name for parameter in network.get_parameters()]
    assert len(names) == len(set(names))
    assert all(name.startswith(("backbone.", "decoder.")) for name in names)
    assert {"backbone.layer1.0.conv1.weight", "decoder.classifier.bias", "decoder.dropout.state"} <= set(names)


def test_seed_decides_weights_and_masks():
    values = []
    for seed in (1, 1, 2):
        ms.set_seed(seed)
        network = build_model(config("fcn"), 3)
        values.append({p.name: p.asnumpy() for p in network.get_parameters()})
    first, again, other = values
    assert all(np.array_equal(first[name], again[name]) for name in first)
    differing = [name for name in first if not np.array_equal(first[name], other[name])]
    assert {"backbone.conv1.weight", "decoder.classifier.weight"} & set(differing)
    assert "decoder.head.dropout.state" in differing
    assert first["decoder.head.dropout.state"][0] != first["decoder.auxiliary.dropout.state"][0]


def test_whole_network_with_dynamic_shape_equals_static():
    network = build_model(config("fpn"), 5)
    network.set_train(False)
    image = Tensor(np.random.randn(1, 3, 65, 96).astype(np.float32))
    static = network(image).asnumpy()
    network.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32))
    assert static.shape == (1, 5, 65, 96)
    np.testing.assert_allclose(network(image).asnumpy(), static, atol=1e-5 * np.abs(static).max())
