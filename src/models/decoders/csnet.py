"""C-S Net: consistent-separable features.

Paper: He et al., "Consistent-Separable Feature Representation for Semantic Segmentation", AAAI 2021.
From the paper: cross entropy separates classes but leaves variation within them. A module learns
consistent-separable (C-S) features under a class-aware consistency loss (``src.losses.consistency``), and an
adaptive aggregation fuses them with the original features.
Our reading, all of it, because no formula could be checked: which convolutions there are and how wide; the C-S
features end in a convolution without activation; the fusion is a gate per pixel and channel, a softmax over the two
branches; the auxiliary head is the FCN baseline's; a convolution has a bias where no batch norm follows directly;
dropout is of whole channels.
Meant for a dilated ResNet (output stride 8); any pyramid works, of which the two deepest maps are read.
"""

from mindspore import nn, ops

from src.models.decoders.fcn import FCNHead
from src.models.layers.blocks import ConvNormReLU
from src.models.layers.convolution import classifier, conv
from src.models.layers.dropout import ChannelDropout


class ConsistentSeparable(nn.Cell):
    """The C-S features of a map.

    Args:
        channels: channels of the map.
        cs_channels: channels of its C-S features.
    """

    def __init__(self, channels, cs_channels):
        super().__init__()
        self.conv = ConvNormReLU(channels, channels, 3)
        self.project = conv(channels, cs_channels, 1, bias=True)

    def construct(self, x):
        """F [B, D, H, W] -> S [B, D_S, H, W]."""
        return self.project(self.conv(x))


class AdaptiveAggregation(nn.Cell):
    """Original and C-S features in one map, weighted against each other per pixel and channel.

    Args:
        channels: channels of the original features and of the result.
        cs_channels: channels of the C-S features, and the gate's inner width.
    """

    def __init__(self, channels, cs_channels):
        super().__init__()
        self.channels = channels
        self.expand = ConvNormReLU(cs_channels, channels, 1)
        self.squeeze = ConvNormReLU(2 * channels, cs_channels, 1)
        self.gate = conv(cs_channels, 2 * channels, 1, bias=True)
        self.fuse = ConvNormReLU(channels, channels, 3)

    def construct(self, original, consistent):
        """F [B, D, H, W], S [B, D_S, H, W] -> [B, D, H, W]."""
        expanded = self.expand(consistent)
        scores = self.gate(self.squeeze(ops.cat((original, expanded), 1)))  # the first D are the original's
        # A softmax over two is a sigmoid of their difference, and the second weight is one minus the first.
        weight = ops.sigmoid(scores[:, : self.channels] - scores[:, self.channels :])
        return self.fuse(expanded + weight * (original - expanded))


class CSNet(nn.Cell):
    """C-S Net's decoder on the deepest map, and in training an auxiliary FCN head on the map before it.

    The options are explained in ``src.schema.decoders.CSNetConfig``.

    Args:
        in_channels: channels of the four maps, finest first.
        num_classes: channels of the logits.
    """

    OUTPUTS = ("logits", "auxiliary", "consistent", "features")
    EXPLAINS = ("consistent",)

    def __init__(self, in_channels, num_classes, *, channels, cs_channels, auxiliary_channels, dropout):
        super().__init__()
        self.reduction = ConvNormReLU(in_channels[3], channels, 3)
        self.consistent = ConsistentSeparable(channels, cs_channels)
        self.aggregation = AdaptiveAggregation(channels, cs_channels)
        self.dropout = ChannelDropout(dropout)
        self.classifier = classifier(channels, num_classes)
        self.auxiliary = FCNHead(in_channels[2], num_classes, auxiliary_channels, dropout)

    def branches(self, features):
        """Four maps -> C-S features [B, D_S, H_3, W_3], map before the classifier [B, D, H_3, W_3]."""
        original = self.reduction(features[3])
        consistent = self.consistent(original)
        return consistent, self.aggregation(original, consistent)

    def embed(self, features):
        """Four maps -> the map before the classifier [B, D, H_3, W_3]."""
        return self.branches(features)[1]

    def explain(self, features):
        """Four maps -> the C-S features [B, D_S, H_3, W_3], on which the consistency loss acts (see EXPLAINS)."""
        return (self.consistent(self.reduction(features[3])),)

    def construct(self, features):
        """Four maps [B, C_i, H_i, W_i] -> logits [B, K, H_3, W_3]; in training see OUTPUTS."""
        consistent, embedded = self.branches(features)
        logits = self.classifier(self.dropout(embedded))
        if self.training:
            return logits, self.auxiliary(features[2]), consistent, embedded
        return logits
