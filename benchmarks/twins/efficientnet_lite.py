"""EfficientNet-Lite0 without its head, as in timm; see src/models/backbones/efficientnet_lite.py."""

import torch.nn.functional as F
from torch import nn

from twins.layers import DropPath

# blocks, kernel size, stride of the first block, output channels
STAGES = (
    (1, 3, 1, 16),
    (2, 3, 2, 24),
    (2, 5, 2, 40),
    (3, 3, 2, 80),
    (3, 5, 1, 112),
    (4, 5, 2, 192),
    (1, 3, 1, 320),
)
OUTPUTS = (1, 2, 4, 6)  # the last stage at each of the strides 4, 8, 16, 32


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's padding, of which the uneven part goes to the right and bottom."""

    def forward(self, x):
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        rows, columns = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:])
        return super().forward(F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)))


def _conv(in_channels, out_channels, kernel_size=1, stride=1, groups=1):
    if stride == 1:  # then the padding is even
        layer = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2, groups=groups, bias=False
        )  # fmt: skip
    else:
        layer = SameConv2d(in_channels, out_channels, kernel_size, stride, groups=groups, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def _norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3)


class DepthwiseSeparable(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size):
        super().__init__()
        self.conv_dw = _conv(in_channels, in_channels, kernel_size, groups=in_channels)
        self.bn1 = _norm(in_channels)
        self.conv_pw = _conv(in_channels, out_channels)
        self.bn2 = _norm(out_channels)

    def forward(self, x):
        x = F.relu6(self.bn1(self.conv_dw(x)), inplace=True)
        return self.bn2(self.conv_pw(x))


class InvertedResidual(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride, rate):
        super().__init__()
        width = 6 * in_channels
        self.conv_pw = _conv(in_channels, width)
        self.bn1 = _norm(width)
        self.conv_dw = _conv(width, width, kernel_size, stride, width)
        self.bn2 = _norm(width)
        self.conv_pwl = _conv(width, out_channels)
        self.bn3 = _norm(out_channels)
        self.drop = DropPath(rate)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x):
        y = F.relu6(self.bn1(self.conv_pw(x)), inplace=True)
        y = F.relu6(self.bn2(self.conv_dw(y)), inplace=True)
        y = self.bn3(self.conv_pwl(y))
        return x + self.drop(y) if self.shortcut else y


class EfficientNetLite0(nn.Module):
    """Image [B, 3, H, W] -> four maps, finest first."""

    out_channels = tuple(STAGES[i][3] for i in OUTPUTS)

    def __init__(self, drop_path: float = 0.0):
        super().__init__()
        self.conv_stem = _conv(3, 32, 3, 2)
        self.bn1 = _norm(32)
        self.blocks = nn.ModuleList()
        in_channels, count, total = 32, 0, sum(stage[0] for stage in STAGES)
        for index, (depth, kernel_size, stride, channels) in enumerate(STAGES):
            stage = nn.ModuleList()
            for _ in range(depth):
                if index == 0:
                    stage.append(DepthwiseSeparable(in_channels, channels, kernel_size))
                else:
                    rate = drop_path * count / (total - 1)
                    stage.append(InvertedResidual(in_channels, channels, kernel_size, stride, rate))
                in_channels, stride, count = channels, 1, count + 1
            self.blocks.append(stage)

    def forward(self, image):
        x, maps = F.relu6(self.bn1(self.conv_stem(image)), inplace=True), []
        for index, stage in enumerate(self.blocks):
            for block in stage:
                x = block(x)
            if index in OUTPUTS:
                maps.append(x)
        return maps
