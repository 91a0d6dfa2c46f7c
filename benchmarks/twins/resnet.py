"""ResNet-18, as in torchvision, with four maps and dilation; see src/models/backbones/resnet.py."""

import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, in_channels, channels, stride, dilation, first_dilation, downsample):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, first_dilation, first_dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = downsample

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.downsample(x), inplace=True)


def _stage(in_channels, channels, stride, dilation, first_dilation):
    shortcut = nn.Identity()
    if stride != 1 or in_channels != channels:
        shortcut = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
        )  # fmt: skip
    return nn.Sequential(
        BasicBlock(in_channels, channels, stride, dilation, first_dilation, shortcut),
        BasicBlock(channels, channels, 1, dilation, dilation, nn.Identity()),
    )


class ResNet18(nn.Module):
    """Image [B, 3, H, W] -> four maps, finest first."""

    out_channels = (64, 128, 256, 512)

    def __init__(self, output_stride: int = 32):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        in_channels, total_stride, dilation = 64, 4, 1
        for index, channels in enumerate(self.out_channels):
            stride, first_dilation = (1 if index == 0 else 2), dilation
            if total_stride * stride > output_stride:
                stride, dilation = 1, dilation * stride
            total_stride *= stride
            setattr(self, f"layer{index + 1}", _stage(in_channels, channels, stride, dilation, first_dilation))
            in_channels = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image):
        x = self.maxpool(F.relu(self.bn1(self.conv1(image)), inplace=True))
        c1 = self.layer1(x)
        c2 = self.layer2(c1)
        c3 = self.layer3(c2)
        return c1, c2, c3, self.layer4(c3)
