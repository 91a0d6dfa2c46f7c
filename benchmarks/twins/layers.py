"""Blocks that several networks share, on NCHW maps."""

import torch.nn.functional as F
from torch import Tensor, nn


def resize(x: Tensor, size) -> Tensor:
    """Bilinear, half-pixel centers: [B, C, h, w] -> [B, C, *size]."""
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)


def depthwise(channels: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=bias)


def classifier(in_channels: int, num_classes: int) -> nn.Conv2d:
    layer = nn.Conv2d(in_channels, num_classes, 1)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer


class ConvNormReLU(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


class ChannelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel; free of copies for a map in channels-last order."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvMLP(nn.Module):
    """1x1 convolution, depthwise 3x3, GELU, 1x1 convolution."""

    def __init__(self, channels: int, ratio: int, gelu: str):
        super().__init__()
        width = channels * ratio
        self.expand = nn.Conv2d(channels, width, 1)
        self.depthwise = depthwise(width)
        self.gelu = nn.GELU("tanh" if gelu == "tanh" else "none")
        self.project = nn.Conv2d(width, channels, 1)

    def forward(self, x):
        return self.project(self.gelu(self.depthwise(self.expand(x))))


class DropPath(nn.Module):
    """Leave out a residual branch for some samples of the batch, and scale it for the others."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training or self.rate == 0:
            return x
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        return x * x.new_empty(shape).bernoulli_(1 - self.rate).div_(1 - self.rate)
