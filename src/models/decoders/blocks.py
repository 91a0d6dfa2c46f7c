"""Blocks that decoders share, on maps [B, C, H, W]."""

from mindspore import nn, ops

from src.models.layers import GELU, LayerNorm, conv


class ChannelLayerNorm(nn.Cell):
    """Layer norm over the channels of every pixel: [B, C, H, W] -> the same."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        self.norm = LayerNorm(channels)

    def construct(self, x):
        batch, _, height, width = ops.shape(x)
        rows = self.norm(x.reshape(batch, self.channels, -1).transpose(0, 2, 1))
        return rows.transpose(0, 2, 1).reshape(batch, self.channels, height, width)


class ConvMLP(nn.Cell):
    """1x1 to ``ratio`` times the channels, depthwise 3x3, GELU, 1x1 back, all with bias: [B, D, H, W] -> the same."""

    def __init__(self, channels, ratio, approximate_gelu=False):
        super().__init__()
        width = ratio * channels
        self.expand = conv(channels, width, 1, bias=True)
        self.depthwise = conv(width, width, 3, groups=width, bias=True)
        self.gelu = GELU(approximate_gelu)
        self.reduce = conv(width, channels, 1, bias=True)

    def construct(self, x):
        return self.reduce(self.gelu(self.depthwise(self.expand(x))))
