"""Semantic FPN; see src/models/decoders/fpn.py."""

from torch import nn

from twins.layers import ConvNormReLU, classifier, resize


class FPN(nn.Module):
    def __init__(self, in_channels, num_classes, channels, dropout):
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1, bias=False) for width in in_channels)
        self.outputs = nn.ModuleList(ConvNormReLU(channels, channels, 3) for _ in in_channels)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = classifier(channels, num_classes)

    def embed(self, features):
        """The map before the classifier, at stride 4."""
        laterals = [layer(x) for layer, x in zip(self.laterals, features, strict=True)]
        for i in (2, 1, 0):
            laterals[i] = laterals[i] + resize(laterals[i + 1], laterals[i].shape[2:])
        levels = [layer(x) for layer, x in zip(self.outputs, laterals, strict=True)]
        total = levels[0]
        for level in levels[1:]:
            total = total + resize(level, total.shape[2:])
        return total

    def outputs_of(self, features, embedded):
        """Logits of that map, or of one in its place."""
        return {"logits": self.classifier(self.dropout(embedded))}

    def forward(self, features):
        """Four maps, finest first -> logits at stride 4."""
        return self.outputs_of(features, self.embed(features))
