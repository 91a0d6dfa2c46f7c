"""PSP baseline.

Paper: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017.
From the paper: the deepest map of a dilated backbone is pooled to 1, 2, 3 and 6 bins a side, each pool goes through a
1x1 convolution to a fourth of the width and is resized to the map, and all are concatenated with it;
an auxiliary head on the map before the deepest.
As the field has it since (PSPNet's implementation, mmsegmentation): batch norm and ReLU follow every convolution, and a
3x3 convolution stands before the classifier. It and both classifiers are the FCN baseline's.
Our reading: the width is the one of the head, ``channels``; dropout is of whole channels.
"""

from mindspore import nn, ops

from src.models.decoders.fcn import FCN
from src.models.layers.blocks import ConvNormReLU
from src.models.layers.pooling import AdaptivePools
from src.models.layers.resize import resize_bilinear

BINS = (1, 2, 3, 6)


class PyramidPooling(nn.Cell):
    """A map and its pools, [B, C, H, W] -> [B, C + 4 width, H, W].

    Args:
        in_channels: C.
        width: channels of each pool.
    """

    def __init__(self, in_channels, width):
        super().__init__()
        self.pools = AdaptivePools(BINS)
        self.convs = nn.CellList([ConvNormReLU(in_channels, width, 1) for _ in BINS])

    def construct(self, x):
        batch, channels = ops.shape(x)[:2]
        pools, maps, start = self.pools(x), (x,), 0
        for side, conv in zip(BINS, self.convs):  # noqa: B905 (graph mode has no strict)
            pooled = pools[:, :, start : start + side * side].reshape(batch, channels, side, side)
            maps += (resize_bilinear(conv(pooled), ops.shape(x)[2:]),)
            start += side * side
        return ops.cat(maps, 1)


class PSP(FCN):
    """FCN's heads, with the deepest map enriched by pyramid pooling.

    The options are explained in ``src.schema.decoders.PSPConfig``.

    Args:
        in_channels: channels of the four maps, finest first.
        num_classes: channels of the logits.
    """

    def __init__(self, in_channels, num_classes, *, channels, auxiliary_channels, dropout):
        width = channels // len(BINS)
        widths = (*in_channels[:3], in_channels[3] + len(BINS) * width)
        super().__init__(widths, num_classes, channels=channels, auxiliary_channels=auxiliary_channels, dropout=dropout)
        self.pyramid = PyramidPooling(in_channels[3], width)

    def embed(self, features):
        """Four maps -> the map before the classifier [B, D, H_3, W_3]."""
        return self.head.conv(self.pyramid(features[3]))
