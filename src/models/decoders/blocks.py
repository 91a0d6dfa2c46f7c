"""Blocks that the decoders share, on NCHW maps.

A layer norm over the channels of a map is made of products in that layout: transposing to rows and back takes more
than twice as long (8 x 128 x 88 x 88: forward 54 instead of 140 ms, gradients 97 instead of 250, on two cores).
"""

import math

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Normal, initializer

from src.models.depthwise import Depthwise
from src.models.layers import GELU, Conv2d, is_static, outer, products_are_faster


def pointwise(in_channels, out_channels, bias=True, groups=1):
    """1x1 convolution that no norm follows: its initial values keep the variance (1 / fan-in)."""
    std = math.sqrt(groups / in_channels)
    return Conv2d(in_channels, out_channels, 1, group=groups, has_bias=bias, weight_init=Normal(std), bias_init="zeros")


def scale_rows(x, factors):
    """Multiply each row: x [R, N], factors [R, 1] -> [R, N]."""
    factors = factors.astype(x.dtype)
    if is_static(x):
        return x * outer(factors, ops.ones((1, x.shape[1]), x.dtype))
    return x * factors


def mean_of_rows(x):
    """[R, N] -> [R, 1]. A product with a column is several times as fast as the mean over an axis."""
    if is_static(x):
        return ops.matmul(x, ops.fill(x.dtype, (x.shape[1], 1), 1.0 / x.shape[1]))
    return ops.mean(x, 1, True)


class _ChannelLayerNorm(nn.Cell):
    """Layer norm over C of x [B, C, N], with products for all means and repetitions."""

    def __init__(self, eps):
        super().__init__()
        self.eps = eps
        self.add = ops.BiasAdd()
        self.product = ops.BatchMatMul()

    def statistics(self, x):
        """x - mean [B, C, N], 1 / standard deviation [B, 1, N], rows of means [B, 1, C], columns of ones [B, C, 1]."""
        batch, channels = x.shape[:2]
        mean = ops.fill(x.dtype, (batch, 1, channels), 1.0 / channels)
        ones = ops.ones((batch, channels, 1), x.dtype)
        centred = x - self.product(ones, self.product(mean, x))
        return centred, 1.0 / ops.sqrt(self.product(mean, centred * centred) + self.eps), mean, ones

    def construct(self, x, gamma, beta):
        centred, scale, _, ones = self.statistics(x)
        return self.add(centred * self.product(ones * gamma.reshape(1, -1, 1), scale), beta)

    def bprop(self, x, gamma, beta, out, dout):
        # Without this the recomputed values would be made during the forward pass and kept.
        x = ops.depend(x, dout)
        centred, scale, mean, ones = self.statistics(x)
        normed = centred * self.product(ones, scale)
        product = dout * normed
        mean = mean * gamma.reshape(1, 1, -1)
        shift = self.product(ones, self.product(mean, dout) * scale)
        slope = self.product(ones, self.product(mean, product) * scale)
        dx = dout * self.product(ones * gamma.reshape(1, -1, 1), scale) - shift - normed * slope
        return dx, ops.sum(ops.sum(product, -1), 0), ops.sum(ops.sum(dout, -1), 0)


class ChannelLayerNorm(nn.Cell):
    """Layer norm over the channels of each pixel, in fp32: [B, C, H, W] -> the same, in the type of its input."""

    def __init__(self, channels, eps=1e-5):
        super().__init__()
        self.channels = channels
        self.gamma = Parameter(initializer("ones", (channels,)), name="gamma")
        self.beta = Parameter(initializer("zeros", (channels,)), name="beta")
        self.standard = ops.LayerNorm(begin_norm_axis=-1, begin_params_axis=-1, epsilon=eps)
        self.fast = _ChannelLayerNorm(eps)

    def construct(self, x):
        y = x.astype(ms.float32)
        if is_static(x) and products_are_faster():
            y = self.fast(y.reshape(x.shape[0], self.channels, -1), self.gamma, self.beta).reshape(x.shape)
        else:
            y = self.standard(y.transpose(0, 2, 3, 1), self.gamma, self.beta)[0].transpose(0, 3, 1, 2)
        return y.astype(x.dtype)


class ConvMLP(nn.Cell):
    """1x1 convolution, depthwise 3x3, GELU, 1x1 convolution: [B, C, H, W] -> [B, C, H, W].

    Args:
        channels: C.
        ratio: width inside, relative to C.
        approximate: GELU in the tanh form.
    """

    def __init__(self, channels, ratio, approximate=False):
        super().__init__()
        width = channels * ratio
        self.expand = pointwise(channels, width)
        self.depthwise = Depthwise(width)
        self.gelu = GELU(approximate)
        self.project = pointwise(width, channels)

    def construct(self, x):
        return self.project(self.gelu(self.depthwise(self.expand(x))))
