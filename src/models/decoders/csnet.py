"""C-S Net: consistent-separable features.

Paper: He et al., "Consistent-Separable Feature Representation for Semantic Segmentation", AAAI 2021.
From the paper: cross entropy separates classes but leaves variation within them. A module learns
consistent-separable (C-S) features under a class-aware consistency loss (``src.losses.consistency``), and an
adaptive aggregation fuses them with the original features.
Our reading, all of it, because no formula could be checked: which convolutions there are and how wide; the C-S
features end in a convolution without activation; the fusion is a gate per pixel and channel, a softmax over the two
branches, which starts even, and its result corrects the original features, by nothing at the start; the original
features are the map before the classifier of a baseline, whose classifier and auxiliary head C-S Net takes over, so
that it differs from that baseline in its two modules and their loss alone; a convolution has a bias where no batch norm
follows directly; dropout is of whole channels.
Meant for a dilated backbone (output stride 8); any pyramid works.
"""

from mindspore import nn, ops
from mindspore.common.initializer import initializer

from src.models.decoders.fcn import FCN
from src.models.decoders.fpn import FPN
from src.models.decoders.psp import PSP
from src.models.layers.blocks import ConvNormReLU
from src.models.layers.convolution import classifier, conv
from src.models.layers.norm import norm

BASES = {"fcn": FCN, "psp": PSP, "fpn": FPN}


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
    """Original and C-S features in one map: weighted against each other per pixel and channel, or concatenated.

    The weights start even. With ``residual`` the weighted sum corrects the original features, by nothing at the start:
    at first the network computes what its baseline does.

    Args:
        channels: channels of the original features and of the result.
        cs_channels: channels of the C-S features, and the gate's inner width.
        fusion: ``residual``, ``gate`` or ``concat``.
    """

    def __init__(self, channels, cs_channels, fusion):
        super().__init__()
        self.channels = channels
        self.expand = ConvNormReLU(cs_channels, channels, 1)
        self.gated, self.residual = fusion != "concat", fusion == "residual"
        if self.gated:
            self.squeeze = ConvNormReLU(2 * channels, cs_channels, 1)
            self.gate = conv(cs_channels, 2 * channels, 1, bias=True)
            self.gate.weight.set_data(initializer("zeros", self.gate.weight.shape, self.gate.weight.dtype))
        if self.residual:
            self.correct = conv(channels, channels, 3)
            self.correct_norm = norm(channels)
            self.correct_norm.gamma.set_data(initializer("zeros", [channels]))
        else:
            self.fuse = ConvNormReLU(channels if self.gated else 2 * channels, channels, 3)

    def construct(self, original, consistent):
        """F [B, D, H, W], S [B, D_S, H, W] -> [B, D, H, W]."""
        expanded = self.expand(consistent)
        both = ops.cat((original, expanded), 1)
        if not self.gated:
            return self.fuse(both)
        scores = self.gate(self.squeeze(both))  # the first D are the original's
        # A softmax over two is a sigmoid of their difference, and the second weight is one minus the first.
        weight = ops.sigmoid(scores[:, : self.channels] - scores[:, self.channels :])
        mixed = expanded + weight * (original - expanded)
        if self.residual:
            return original + self.correct_norm(self.correct(mixed))
        return self.fuse(mixed)


class CSNet(nn.Cell):
    """A baseline with C-S Net's two modules between its map before the classifier and its classifier.

    The options are explained in ``src.schema.decoders.CSNetConfig``.

    Args:
        in_channels: channels of the four maps, finest first.
        num_classes: channels of the logits.

    In training the entries ``auxiliary`` and ``consistent_logits`` are empty tuples where there is no such head.
    """

    OUTPUTS = ("logits", "auxiliary", "consistent_logits", "consistent", "features")
    EXPLAINS = ("consistent",)

    def __init__(
        self,
        in_channels,
        num_classes,
        *,
        base,
        channels,
        cs_channels,
        auxiliary_channels,
        aggregation,
        fusion,
        classify_consistent,
        dropout,
    ):
        super().__init__()
        auxiliary = {} if base == "fpn" else {"auxiliary_channels": auxiliary_channels}
        self.baseline = BASES[base](in_channels, num_classes, channels=channels, dropout=dropout, **auxiliary)
        self.consistent = ConsistentSeparable(channels, cs_channels)
        self.aggregation = AdaptiveAggregation(channels, cs_channels, fusion) if aggregation else None
        self.consistent_classifier = classifier(cs_channels, num_classes) if classify_consistent else None

    def branches(self, features):
        """Four maps -> C-S features [B, D_S, H, W], map before the classifier [B, D, H, W], of the baseline's size."""
        original = self.baseline.embed(features)
        consistent = self.consistent(original)
        if self.aggregation is None:
            return consistent, original
        return consistent, self.aggregation(original, consistent)

    def embed(self, features):
        """Four maps -> the map before the classifier [B, D, H, W]."""
        return self.branches(features)[1]

    def explain(self, features):
        """Four maps -> the C-S features [B, D_S, H, W], on which the consistency loss acts (see EXPLAINS)."""
        return (self.consistent(self.baseline.embed(features)),)

    def construct(self, features):
        """Four maps [B, C_i, H_i, W_i] -> logits [B, K, H, W] of the baseline's size; in training see OUTPUTS."""
        consistent, embedded = self.branches(features)
        logits = self.baseline.classify(embedded)
        if self.training:
            own = () if self.consistent_classifier is None else self.consistent_classifier(consistent)
            return logits, self.baseline.auxiliary_logits(features), own, consistent, embedded
        return logits
