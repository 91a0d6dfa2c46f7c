"""The baselines FCN and PSP; see src/models/decoders/fcn.py and psp.py."""

import torch
import torch.nn.functional as F
from torch import nn

from twins.layers import ConvNormReLU, classifier, resize

BINS = (1, 2, 3, 6)


class FCNHead(nn.Module):
    def __init__(self, in_channels, num_classes, channels, dropout):
        super().__init__()
        self.conv = ConvNormReLU(in_channels, channels, 3)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = classifier(channels, num_classes)

    def classify(self, x):
        return self.classifier(self.dropout(x))

    def forward(self, x):
        return self.classify(self.conv(x))


class FCN(nn.Module):
    def __init__(self, in_channels, num_classes, channels, auxiliary_channels, dropout):
        super().__init__()
        self.head = FCNHead(in_channels[3], num_classes, channels, dropout)
        self.auxiliary = FCNHead(in_channels[2], num_classes, auxiliary_channels, dropout)

    def embed(self, features):
        """The map before the classifier."""
        return self.head.conv(features[3])

    def outputs_of(self, features, embedded):
        """Logits of that map, or of one in its place; in training also the auxiliary ones."""
        outputs = {"logits": self.head.classify(embedded)}
        return outputs | {"auxiliary": self.auxiliary(features[2])} if self.training else outputs

    def forward(self, features):
        """Four maps, of which the two deepest are read."""
        return self.outputs_of(features, self.embed(features))


class PyramidPooling(nn.Module):
    def __init__(self, in_channels, width):
        super().__init__()
        self.convs = nn.ModuleList(ConvNormReLU(in_channels, width, 1) for _ in BINS)

    def forward(self, x):
        pools = [conv(F.adaptive_avg_pool2d(x, side)) for side, conv in zip(BINS, self.convs, strict=True)]
        return torch.cat([x, *(resize(pool, x.shape[2:]) for pool in pools)], 1)


class PSP(FCN):
    def __init__(self, in_channels, num_classes, channels, auxiliary_channels, dropout):
        width = channels // len(BINS)
        widths = (*in_channels[:3], in_channels[3] + len(BINS) * width)
        super().__init__(widths, num_classes, channels, auxiliary_channels, dropout)
        self.pyramid = PyramidPooling(in_channels[3], width)

    def embed(self, features):
        return self.head.conv(self.pyramid(features[3]))
