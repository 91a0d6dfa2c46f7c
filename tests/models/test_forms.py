"""Every form of the layers gives the same network: native kernels, matrix products, and what Ascend and GPU run."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.errors import UserError
from src.models.decoders import build_decoder
from src.models.layers import backend
from tests.models.small import BACKBONE_OF_EACH_FAMILY, SMALL_DECODER, no_drop_path, small_backbone


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def outputs(value):
    """Tensors of nested tuples, one after the other."""
    return [one for part in value for one in outputs(part)] if isinstance(value, tuple | list) else [value]


def run(network, inputs):
    """Outputs of a network, and the gradients of its parameters for the sum of products with fixed numbers."""
    parameters = network.trainable_params()

    def loss():
        results = outputs(network(inputs))
        return sum((y * Tensor(random(*y.shape, seed=i))).sum() for i, y in enumerate(results)), results

    (_, results), gradients = ms.value_and_grad(loss, None, parameters, has_aux=True)()
    named = {parameter.name: gradient for parameter, gradient in zip(parameters, gradients, strict=True)}
    return {**{f"output {i}": y for i, y in enumerate(results)}, **named}


def check(make, inputs, tolerance):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    with backend.at_most("standard"):
        standard = make().set_train()
        expected = run(standard, inputs)
    total = max(float(np.linalg.norm(value.asnumpy())) for value in expected.values())
    for form in ("products", "native"):
        with backend.at_most(form):
            network = make().set_train()
            ms.load_param_into_net(network, standard.parameters_dict())
            found = run(network, inputs)
        for name, value in expected.items():
            # A rounding error may change the sign before a ReLU, and hence a gradient by more than rounding.
            value, difference = value.asnumpy(), found[name].asnumpy() - value.asnumpy()
            limit = tolerance * max(np.linalg.norm(value), 0.05 * total)
            assert np.linalg.norm(difference) <= limit, f"{form}: {name}"


@pytest.mark.parametrize("name", SMALL_DECODER)
def test_decoders(name):
    channels = (16, 16, 16, 16)
    sizes = [(18, 22), (9, 11), (5, 6), (3, 3)]
    maps = tuple(Tensor(random(2, 16, *size, seed=i)) for i, size in enumerate(sizes))
    options = {**SMALL_DECODER[name], "dropout": 0.0}
    check(lambda: build_decoder(name, channels, 4, **options), maps, 1e-2)


@pytest.mark.parametrize("name", BACKBONE_OF_EACH_FAMILY)
def test_backbones(name):
    check(lambda: small_backbone(name, **no_drop_path(name)), Tensor(random(2, 3, 70, 90)), 3e-2)


def test_unknown_form_is_refused(monkeypatch):
    monkeypatch.setenv(backend.VARIABLE, "fast")
    with pytest.raises(UserError, match="SEGMENTATION_LAYERS: fast is not a form of layers; use one of standard, prod"):
        backend.limit_from_environment()


class Marked(nn.Cell):
    """Says which form is taken."""

    def construct(self, x):
        if backend.native(x):
            return x * 3.0
        return x * 2.0 if backend.products(x) else x


@pytest.mark.parametrize(("form", "factor"), [("standard", 1.0), ("products", 2.0), ("native", 3.0)])
def test_a_limit_holds_while_a_graph_is_compiled(form, factor):
    if form == "native" and not backend.has_native():
        pytest.skip("the native kernels cannot be compiled here")
    with backend.at_most(form):
        assert Marked()(Tensor([1.0], ms.float32)).asnumpy() == factor


def test_half_precision_and_unknown_shapes_take_no_native_form():
    assert Marked()(Tensor([1.0], ms.float16)).asnumpy() == 2.0
    cell = Marked()
    cell.set_inputs(Tensor(shape=[None], dtype=ms.float32))
    assert cell(Tensor([1.0], ms.float32)).asnumpy() == 1.0
