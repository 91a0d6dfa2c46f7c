"""Semantic FPN baseline.

Papers: Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017; Kirillov et al., "Panoptic
Feature Pyramid Networks", CVPR 2019.
From the papers: 1x1 laterals, top-down sum, a 3x3 convolution per level, sum of all levels at the finest one.
Our reading: the top-down path is resized bilinearly; the 3x3 convolutions are followed by batch norm and ReLU,
the laterals, which have no bias, by nothing; dropout is of whole channels, before the classifier.
Deviation: Kirillov et al. upsample by a chain of convolutions per level; here there is one convolution per level.
"""

from mindspore import nn, ops

from src.models.layers.blocks import ConvNormReLU
from src.models.layers.convolution import classifier, conv
from src.models.layers.dropout import ChannelDropout
from src.models.layers.resize import resize_bilinear


class FPN(nn.Cell):
    """Pyramid of ``channels`` wide levels, summed at the finest.

    The options are explained in ``src.schema.decoders.FPNConfig``.

    Args:
        in_channels: channels of the four maps, finest first.
        num_classes: channels of the logits.
    """

    OUTPUTS = ("logits", "features")

    def __init__(self, in_channels, num_classes, *, channels, dropout):
        super().__init__()
        self.laterals = nn.CellList([conv(width, channels, 1) for width in in_channels])
        self.outputs = nn.CellList([ConvNormReLU(channels, channels, 3) for _ in in_channels])
        self.dropout = ChannelDropout(dropout)
        self.classifier = classifier(channels, num_classes)

    def levels(self, features):
        """Four maps -> the pyramid's four [B, D, H_i, W_i]."""
        p3 = self.laterals[3](features[3])
        p2 = _plus_resized(self.laterals[2](features[2]), p3)
        p1 = _plus_resized(self.laterals[1](features[1]), p2)
        p0 = _plus_resized(self.laterals[0](features[0]), p1)
        return self.outputs[0](p0), self.outputs[1](p1), self.outputs[2](p2), self.outputs[3](p3)

    def embed(self, features):
        """Four maps -> the map before the classifier [B, D, H_0, W_0]."""
        return _sum_resized(self.levels(features))

    def classify(self, embedded):
        """Map before the classifier [B, D, H, W] -> logits [B, K, H, W]."""
        return self.classifier(self.dropout(embedded))

    def auxiliary_logits(self, features):
        """Nothing: there is no auxiliary head."""
        return ()

    def construct(self, features):
        """Four maps [B, C_i, H_i, W_i] -> logits [B, K, H_0, W_0]; in training see OUTPUTS."""
        embedded = self.embed(features)
        logits = self.classify(embedded)
        return (logits, embedded) if self.training else logits


def _sum_resized(levels):
    """Maps, finest first -> their sum at the size of the first."""
    total = levels[0]
    for level in levels[1:]:
        total = _plus_resized(total, level)
    return total


def _plus_resized(fine, coarse):
    """[B, C, H, W] + [B, C, h, w] resized to it."""
    return fine + resize_bilinear(coarse, ops.shape(fine)[2:])
