"""Depthwise 3x3 convolution."""

import math

from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Normal, initializer

from src.models.layers import backend
from src.native.convolution import Convolution, ConvolutionWithBias


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
        self.add_bias = ops.BiasAdd()
        self.native = None
        if backend.has_native():
            self.native = (ConvolutionWithBias if bias else Convolution)((3, 3), 1, 1, channels, 1)

    def construct(self, x):
        if self.native is not None and backend.native(x):
            if self.bias is not None:
                return self.native(x, self.weight, self.bias)
            return self.native(x, self.weight)
        y = self.standard(x, self.weight.astype(x.dtype))
        return y if self.bias is None else self.add_bias(y, self.bias.astype(x.dtype))
