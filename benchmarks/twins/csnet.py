"""C-S Net; see src/models/decoders/csnet.py."""

import torch
from torch import nn

from twins.fcn import FCN, PSP
from twins.fpn import FPN
from twins.layers import ConvNormReLU

BASES = {"fcn": FCN, "psp": PSP, "fpn": FPN}


class ConsistentSeparable(nn.Module):
    def __init__(self, channels, cs_channels):
        super().__init__()
        self.conv = ConvNormReLU(channels, channels, 3)
        self.project = nn.Conv2d(channels, cs_channels, 1)

    def forward(self, x):
        return self.project(self.conv(x))


class AdaptiveAggregation(nn.Module):
    def __init__(self, channels, cs_channels):
        super().__init__()
        self.expand = ConvNormReLU(cs_channels, channels, 1)
        self.squeeze = ConvNormReLU(2 * channels, cs_channels, 1)
        self.gate = nn.Conv2d(cs_channels, 2 * channels, 1)
        self.correct = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.correct_norm = nn.BatchNorm2d(channels)

    def forward(self, original, consistent):
        expanded = self.expand(consistent)
        first, second = self.gate(self.squeeze(torch.cat((original, expanded), 1))).chunk(2, 1)
        mixed = torch.lerp(expanded, original, torch.sigmoid(first - second))  # a softmax over two
        return original + self.correct_norm(self.correct(mixed))


class CSNet(nn.Module):
    def __init__(self, in_channels, num_classes, base, channels, cs_channels, auxiliary_channels, dropout):
        super().__init__()
        auxiliary = {} if base == "fpn" else {"auxiliary_channels": auxiliary_channels}
        self.baseline = BASES[base](in_channels, num_classes, channels, dropout=dropout, **auxiliary)
        self.consistent = ConsistentSeparable(channels, cs_channels)
        self.aggregation = AdaptiveAggregation(channels, cs_channels)

    def forward(self, features):
        """Four maps -> the baseline's outputs, in training also C-S features."""
        original = self.baseline.embed(features)
        consistent = self.consistent(original)
        outputs = self.baseline.outputs_of(features, self.aggregation(original, consistent))
        return outputs | {"consistent": consistent} if self.training else outputs
