"""Depthwise 3x3 convolution with a hand-written gradient for the CPU.

MindSpore's own gradient of a depthwise weight would take most of a decoder's backward pass there
(docs/performance.md). Here it is three matrix products, one per kernel row: the map's rows times the rows of the
incoming gradient, shifted against each other. Cell (i, j) of the product belongs to columns i and j, so the sums along
its diagonals are the gradients of the row's three weights. The gradient of the map is a convolution with the kernel
turned by 180 degrees.
"""

import math

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import Normal, initializer

from src.models.layers import backend
from src.native.convolution import Convolution, ConvolutionWithBias


@ms.constexpr
def _diagonals(width):
    """Mark the cells of a width x width matrix that belong to kernel column 0, 1, 2: [width^2, 3] of 0 and 1."""
    return Tensor(np.stack([np.eye(width, k=1 - s, dtype=np.float32).reshape(-1) for s in range(3)], 1))


class _Depthwise(nn.Cell):
    """x [B, C, H, W], weight [C, 1, 3, 3] -> [B, C, H, W]."""

    def __init__(self, channels):
        super().__init__()
        self.conv = ops.Conv2D(channels, 3, pad_mode="pad", pad=1, group=channels)
        self.turn = ops.ReverseV2([2, 3])
        self.product = ops.BatchMatMul(transpose_a=True)

    def construct(self, x, weight):
        return self.conv(x, weight)

    def bprop(self, x, weight, out, dout):
        batch, channels, height, width = x.shape
        dx = self.conv(dout, self.turn(weight))
        rows, douts = x.reshape(-1, height, width), dout.reshape(-1, height, width)
        # Kernel row 0 meets the map one row above the result, kernel row 2 one below.
        above = self.product(rows[:, : height - 1], douts[:, 1:])
        level = self.product(rows, douts)
        below = self.product(rows[:, 1:], douts[:, : height - 1])
        diagonals = _diagonals(width).astype(x.dtype)
        gradients = [ops.matmul(one.reshape(-1, width * width), diagonals) for one in (above, level, below)]
        dweight = ops.stack(gradients, 1).reshape(batch, -1)
        dweight = ops.matmul(ops.ones((1, batch), x.dtype), dweight)
        return dx, dweight.reshape(channels, 1, 3, 3)


class Depthwise(nn.Cell):
    """Depthwise 3x3 convolution, stride 1, zero padding 1: [B, C, H, W] -> [B, C, H, W].

    Its parameters are those of ``nn.Conv2d(C, C, 3, group=C)``.

    Args:
        channels: C.
        bias: whether there is one.
    """

    def __init__(self, channels, bias=True):
        super().__init__()
        # He initialization with a fan-in of 9: each output channel sees one input channel.
        self.weight = Parameter(initializer(Normal(math.sqrt(2 / 9)), (channels, 1, 3, 3)), name="weight")
        self.bias = Parameter(initializer("zeros", (channels,)), name="bias") if bias else None
        self.standard = ops.Conv2D(channels, 3, pad_mode="pad", pad=1, group=channels)
        self.fast = _Depthwise(channels)
        self.add_bias = ops.BiasAdd()
        self.native = None
        if backend.has_native():
            self.native = (ConvolutionWithBias if bias else Convolution)((3, 3), 1, 1, channels, 1)

    def construct(self, x):
        if self.native is not None and backend.native(x):
            if self.bias is not None:
                return self.native(x, self.weight, self.bias)
            return self.native(x, self.weight)
        weight = self.weight.astype(x.dtype)
        if backend.is_static(x) and x.shape[2] > 1 and backend.products_are_faster():
            y = self.fast(x, weight)
        else:
            y = self.standard(x, weight)
        return y if self.bias is None else self.add_bias(y, self.bias.astype(x.dtype))
