"""C-S Net; see src/models/decoders/csnet.py."""

import torch
from torch import nn

from twins.layers import ConvNormReLU, classifier


class FCNHead(nn.Module):
    def __init__(self, in_channels, num_classes, channels, dropout):
        super().__init__()
        self.conv = ConvNormReLU(in_channels, channels, 3)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = classifier(channels, num_classes)

    def forward(self, x):
        return self.classifier(self.dropout(self.conv(x)))


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


class FCN(nn.Module):
    """The baseline below the modules."""

    def __init__(self, in_channels, num_classes, channels, auxiliary_channels, dropout):
        super().__init__()
        self.head = FCNHead(in_channels[3], num_classes, channels, dropout)
        self.auxiliary = FCNHead(in_channels[2], num_classes, auxiliary_channels, dropout)


class CSNet(nn.Module):
    def __init__(self, in_channels, num_classes, channels, cs_channels, auxiliary_channels, dropout):
        super().__init__()
        self.baseline = FCN(in_channels, num_classes, channels, auxiliary_channels, dropout)
        self.consistent = ConsistentSeparable(channels, cs_channels)
        self.aggregation = AdaptiveAggregation(channels, cs_channels)

    def forward(self, features):
        """Four maps, of which the two deepest are read -> logits, in training also auxiliary logits, C-S features."""
        head = self.baseline.head
        original = head.conv(features[3])
        consistent = self.consistent(original)
        logits = head.classifier(head.dropout(self.aggregation(original, consistent)))
        if not self.training:
            return {"logits": logits}
        return {"logits": logits, "auxiliary": self.baseline.auxiliary(features[2]), "consistent": consistent}
