"""Blocks of several layers that networks share, on NCHW maps."""

from mindspore import nn

from src.models.layers.activation import GELU
from src.models.layers.convolution import conv, depthwise, pointwise
from src.models.layers.norm import norm


class ConvNormReLU(nn.Cell):
    """Convolution without bias, batch norm, ReLU: [B, C, H, W] -> [B, out_channels, H', W']."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, dilation=1):
        super().__init__()
        self.conv = conv(in_channels, out_channels, kernel_size, stride, dilation)
        self.bn = norm(out_channels, "relu")

    def construct(self, x):
        return self.bn(self.conv(x))


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
        self.depthwise = depthwise(width)
        self.gelu = GELU(approximate)
        self.project = pointwise(width, channels)

    def construct(self, x):
        return self.project(self.gelu(self.depthwise(self.expand(x))))
