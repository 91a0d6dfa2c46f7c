"""Every native kernel against MindSpore's own operators: values and gradients, at odd sizes."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.models.layers import backend
from src.models.layers.activation import GELU
from src.models.layers.convolution import Conv2d
from src.models.layers.norm import BatchNorm, ChannelLayerNorm, LayerNorm
from src.models.layers.pooling import StemPool
from src.native import library
from src.native.cross_entropy import CrossEntropy

pytestmark = pytest.mark.skipif(not library.loaded(), reason="the native kernels cannot be compiled here")


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(cell, x, dy):
    """Output, gradient of the input and gradients of the parameters for the gradient ``dy`` of the output."""
    parameters = list(cell.trainable_params())

    def loss(x):
        y = cell(x)
        return (y * dy).sum(), y

    (_, y), gradients = ms.value_and_grad(loss, 0, parameters or None, has_aux=True)(x)
    dx, rest = gradients if parameters else (gradients, ())
    return [y.asnumpy(), dx.asnumpy(), *(one.asnumpy() for one in rest)]


def compare(make, x, tolerance=2e-5, train=True):
    """The native form of a cell, and its parameters' gradients, equal the standard form's."""
    native = make().set_train(train)
    with backend.at_most("standard"):
        standard = make().set_train(train)
    ms.load_param_into_net(standard, native.parameters_dict())
    x = Tensor(x)
    dy = Tensor(random(*native(x).shape, seed=1))
    found = run(native, x, dy)
    with backend.at_most("standard"):
        expected = run(standard, x, dy)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1.0, float(np.abs(other).max())))
    return native, standard


CONVOLUTIONS = {  # shape of the map, channels out, options
    "winograd": ((2, 17, 37, 29), 19, {"kernel_size": 3, "padding": 1}),
    "winograd_narrow": ((1, 16, 130, 6), 16, {"kernel_size": 3, "padding": 1}),
    "winograd_dilated": ((2, 16, 35, 27), 18, {"kernel_size": 3, "padding": 2, "dilation": 2}),
    "small_map": ((1, 17, 5, 7), 16, {"kernel_size": 3, "padding": 1}),
    "few_channels": ((1, 3, 31, 33), 5, {"kernel_size": 3, "padding": 1}),
    "strided": ((2, 16, 15, 18), 20, {"kernel_size": 3, "padding": 1, "stride": 2}),
    "stem": ((2, 3, 33, 38), 8, {"kernel_size": 7, "padding": 3, "stride": 2}),
    "pointwise": ((3, 20, 7, 9), 13, {"kernel_size": 1}),
    "pointwise_one_image": ((1, 20, 7, 9), 13, {"kernel_size": 1}),
    "pointwise_strided": ((2, 20, 7, 9), 13, {"kernel_size": 1, "stride": 2}),
    "grouped": ((2, 16, 7, 9), 24, {"kernel_size": 1, "group": 4}),
    "depthwise": ((2, 6, 13, 37), 6, {"kernel_size": 3, "padding": 1, "group": 6}),
    "depthwise_narrow": ((3, 4, 2, 1), 4, {"kernel_size": 3, "padding": 1, "group": 4}),
    "depthwise_strided": ((2, 6, 14, 37), 6, {"kernel_size": 3, "padding": 1, "stride": 2, "group": 6}),
    "depthwise_dilated": ((2, 6, 13, 37), 6, {"kernel_size": 3, "padding": 2, "dilation": 2, "group": 6}),
    "depthwise_5x5": ((2, 6, 13, 19), 6, {"kernel_size": 5, "padding": 2, "group": 6}),
    "depthwise_5x5_dilated": ((2, 6, 12, 12), 6, {"kernel_size": 5, "padding": 8, "dilation": 4, "group": 6}),
    "depthwise_dilated_narrow": ((2, 4, 3, 5), 4, {"kernel_size": 5, "padding": 4, "dilation": 2, "group": 4}),
    "one_pixel": ((2, 6, 1, 1), 6, {"kernel_size": 3, "padding": 1, "group": 6}),
}


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution(case, bias):
    shape, channels, options = CONVOLUTIONS[case]
    ms.set_context(mode=ms.PYNATIVE_MODE)
    compare(lambda: Conv2d(shape[1], channels, pad_mode="pad", has_bias=bias, **options), random(*shape))


@pytest.mark.parametrize("size", [(15, 18), (16, 17)])
@pytest.mark.parametrize(("kernel_size", "group"), [(3, 1), (3, 6), (5, 6)])
def test_same_padding_of_odd_and_even_sizes(size, kernel_size, group):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    compare(lambda: Conv2d(6, 12 if group == 1 else 6, kernel_size, 2, "same", group=group), random(2, 6, *size))


def test_convolution_in_graph_mode():
    ms.set_context(mode=ms.GRAPH_MODE)
    compare(lambda: Conv2d(17, 19, 3, pad_mode="pad", padding=1, has_bias=True), random(2, 17, 37, 29))


@pytest.mark.parametrize("shape", [(2, 5, 7, 9), (1, 3, 16, 17), (3, 4, 1, 1)])
@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
@pytest.mark.parametrize("train", [True, False])
def test_batch_norm(shape, activation, train):
    ms.set_context(mode=ms.PYNATIVE_MODE)

    def make():
        norm = BatchNorm(shape[1], 1e-5, 0.9, activation)
        for seed, parameter in enumerate(norm.get_parameters()):
            parameter.set_data(Tensor(np.abs(random(shape[1], seed=seed)) + 0.5))
        return norm

    native, standard = compare(make, 4 * random(*shape, seed=9) + 1, 5e-5, train)
    for one, other in zip(native.get_parameters(), standard.get_parameters(), strict=True):
        np.testing.assert_allclose(one.asnumpy(), other.asnumpy(), rtol=1e-5, err_msg=one.name)


@pytest.mark.parametrize("make", [lambda: LayerNorm(21), lambda: LayerNorm(21, 1e-6)])
@pytest.mark.parametrize("shape", [(5, 21), (2, 3, 40, 21)])
def test_layer_norm(make, shape):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    compare(make, 3 * random(*shape) + 2)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (13, 21)])
def test_channel_layer_norm(size):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    compare(lambda: ChannelLayerNorm(19), 3 * random(2, 19, *size) + 2)


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu(approximate):
    """MindSpore's own tanh form is the less exact one, so the reference is NumPy."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    x = np.concatenate([np.linspace(-12, 12, 4001), [-1e4, 1e4, 0.0]]).astype(np.float32)
    y, dx = run(GELU(approximate), Tensor(x), Tensor(np.ones_like(x)))
    v = x.astype(np.float64)
    if approximate:
        inner, slope = 0.79788456 * (v + 0.044715 * v**3), 0.79788456 * (1 + 3 * 0.044715 * v**2)
        gate = 0.5 * (1 + np.tanh(inner))
        expected, gradient = v * gate, gate + v * 0.5 * (1 - np.tanh(inner) ** 2) * slope
    else:
        gate = ops.erf(Tensor(v / np.sqrt(2))).asnumpy() / 2 + 0.5
        expected, gradient = v * gate, gate + v * np.exp(-(v**2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(dx, gradient, atol=4e-6)


@pytest.mark.parametrize("shape", [(2, 3, 7, 9), (1, 2, 8, 6), (1, 1, 1, 1), (1, 2, 2, 33)])
def test_max_pool(shape):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    compare(StemPool, np.round(random(*shape), 1))  # rounded: some values are equal


@pytest.mark.parametrize("pixels", [1, 17, 300])
def test_cross_entropy(pixels):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    generator = np.random.default_rng(3)
    logits = Tensor(20 * random(2, 5, pixels))
    label = Tensor(generator.integers(0, 5, (2, 1, pixels)).astype(np.int32))
    weight = Tensor(generator.integers(0, 3, (2, 1, pixels)).astype(np.float32))
    log_p = logits.asnumpy().astype(np.float64)
    log_p -= np.log(np.exp(log_p - log_p.max(1, keepdims=True)).sum(1, keepdims=True)) + log_p.max(1, keepdims=True)
    picked = np.take_along_axis(log_p, label.asnumpy().astype(np.int64), 1)
    kernel = CrossEntropy()

    def loss(logits):
        return kernel(logits, label, weight)[0].sum()

    value, gradient = ms.value_and_grad(loss)(logits)
    np.testing.assert_allclose(value.asnumpy(), -(picked * weight.asnumpy()).sum(), rtol=1e-5, atol=1e-5)
    one_hot = np.arange(5)[None, :, None] == label.asnumpy()
    np.testing.assert_allclose(gradient.asnumpy(), (np.exp(log_p) - one_hot) * weight.asnumpy(), atol=2e-6)


class Both(nn.Cell):
    """Two convolutions that do not depend on each other, which MindSpore may run at the same time."""

    def __init__(self):
        super().__init__()
        self.first = Conv2d(16, 16, 3, pad_mode="pad", padding=1)
        self.second = Conv2d(16, 16, 3, 2, pad_mode="pad", padding=1)

    def construct(self, x):
        return self.first(x), self.second(x)


def test_kernels_called_at_the_same_time_do_not_disturb_each_other():
    both = Both()
    x = Tensor(random(2, 16, 40, 40))
    first = [y.asnumpy() for y in both(x)]
    for _ in range(20):
        for one, other in zip(first, both(x), strict=True):
            np.testing.assert_array_equal(one, other.asnumpy())
