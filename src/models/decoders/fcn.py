"""FCN baseline.

Paper: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.
From the paper: a convolutional classifier on the deepest feature.
As the field has it since (PSPNet's implementation, mmsegmentation): one 3x3 convolution with batch norm and ReLU
before the classifier, a dilated backbone, and an auxiliary head on the feature before the deepest.
Our reading: dropout is of whole channels. Deviation: no skip connections, no learned upsampling.
"""

from mindspore import nn

from src.models.layers.blocks import ConvNormReLU
from src.models.layers.convolution import classifier
from src.models.layers.dropout import ChannelDropout


class FCNHead(nn.Cell):
    """3x3 convolution, batch norm, ReLU, channel dropout, classifier on one feature map.

    Args:
        in_channels: channels of the map.
        num_classes: channels of the logits.
        channels: channels between convolution and classifier.
        dropout: rate of the channel dropout.
    """

    def __init__(self, in_channels, num_classes, channels, dropout):
        super().__init__()
        self.conv = ConvNormReLU(in_channels, channels, 3)
        self.dropout = ChannelDropout(dropout)
        self.classifier = classifier(channels, num_classes)

    def classify(self, embedded):
        """What ``conv`` made of the map, [B, D, H, W] -> logits [B, K, H, W]."""
        return self.classifier(self.dropout(embedded))

    def construct(self, feature):
        """[B, C, H, W] -> logits [B, K, H, W]."""
        return self.classify(self.conv(feature))


class FCN(nn.Cell):
    """FCN head on the deepest feature, and in training an auxiliary one on the feature before it.

    The options are explained in ``src.schema.decoders.FCNConfig``.

    Args:
        in_channels: channels of the four maps, finest first.
        num_classes: channels of the logits.
    """

    OUTPUTS = ("logits", "auxiliary", "features")

    def __init__(self, in_channels, num_classes, *, channels, auxiliary_channels, dropout):
        super().__init__()
        self.head = FCNHead(in_channels[3], num_classes, channels, dropout)
        self.auxiliary = FCNHead(in_channels[2], num_classes, auxiliary_channels, dropout)

    def embed(self, features):
        """Four maps -> the map before the classifier [B, D, H_3, W_3]."""
        return self.head.conv(features[3])

    def classify(self, embedded):
        """Map before the classifier [B, D, H, W] -> logits [B, K, H, W]."""
        return self.head.classify(embedded)

    def auxiliary_logits(self, features):
        """Four maps -> logits of the auxiliary head [B, K, H_2, W_2]."""
        return self.auxiliary(features[2])

    def construct(self, features):
        """Four maps [B, C_i, H_i, W_i] -> logits [B, K, H_3, W_3]; in training see OUTPUTS."""
        embedded = self.embed(features)
        logits = self.classify(embedded)
        if self.training:
            return logits, self.auxiliary_logits(features), embedded
        return logits
