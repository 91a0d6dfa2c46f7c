"""Convolutions that compute in the type of their input, initialized to suit their place in a network."""

import math

from mindspore import nn
from mindspore.common.initializer import HeNormal, Normal

from src.models.layers import backend
from src.native.convolution import Convolution, ConvolutionWithBias


class Conv2d(nn.Conv2d):
    """``nn.Conv2d`` in the type of its input: with mixed precision the weights are fp32 and the products fp16."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.native = None
        if backend.has_native():
            padding = "same" if self.pad_mode == "same" else self.padding
            form = ConvolutionWithBias if self.has_bias else Convolution
            self.native = form(self.kernel_size, self.stride[0], self.dilation[0], self.group, padding)

    def construct(self, x):
        if self.native is not None and backend.native(x):
            if self.has_bias:
                return self.native(x, self.weight, self.bias)
            return self.native(x, self.weight)
        y = self.conv2d(x, self.weight.astype(x.dtype))
        return self.bias_add(y, self.bias.astype(x.dtype)) if self.has_bias else y


def conv(in_channels, out_channels, kernel_size, stride=1, dilation=1, groups=1, bias=False):
    """Convolution with PyTorch's padding: for odd kernels the output has ceil(size / stride) rows and columns."""
    return Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        pad_mode="pad",
        padding=dilation * (kernel_size // 2),
        dilation=dilation,
        group=groups,
        has_bias=bias,
        weight_init=HeNormal(mode="fan_out", nonlinearity="relu"),
        bias_init="zeros",
    )


def depthwise(channels, bias=True):
    """Depthwise 3x3 convolution, stride 1, zero padding 1."""
    # He initialization with a fan-in of 9: each output channel sees one input channel.
    return Conv2d(
        channels,
        channels,
        3,
        pad_mode="pad",
        padding=1,
        group=channels,
        has_bias=bias,
        weight_init=Normal(math.sqrt(2 / 9)),
        bias_init="zeros",
    )


def classifier(in_channels, num_classes):
    """1x1 convolution to logits, with small weights so that training starts near equal probabilities."""
    return Conv2d(in_channels, num_classes, 1, has_bias=True, weight_init=Normal(sigma=0.01), bias_init="zeros")


def pointwise(in_channels, out_channels, bias=True, groups=1):
    """1x1 convolution without a norm after it; initialized to keep the variance (1 / fan-in)."""
    std = math.sqrt(groups / in_channels)
    return Conv2d(in_channels, out_channels, 1, group=groups, has_bias=bias, weight_init=Normal(std), bias_init="zeros")
