"""ECENet; see src/models/decoders/ecenet.py."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from twins.layers import ChannelLayerNorm, ConvMLP, ConvNormReLU, classifier, depthwise, resize


class FeatureReconstruction(nn.Module):
    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.intrinsic = nn.Conv2d(channels, half, 1, bias=False)
        self.intrinsic_norm = nn.BatchNorm2d(half)
        self.diverse = depthwise(half)
        self.diverse_norm = nn.BatchNorm2d(half)
        self.squeeze = nn.Linear(half, half // 2, bias=False)
        self.excite = nn.Linear(half // 2, half, bias=False)
        self.out = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = ChannelLayerNorm(channels)

    def forward(self, x):
        intrinsic = self.intrinsic_norm(self.intrinsic(x))
        diverse = self.diverse_norm(self.diverse(intrinsic))
        gate = self.excite(F.relu(self.squeeze(diverse.mean((2, 3)))))
        diverse = diverse * gate[:, :, None, None]
        return self.norm(self.out(torch.cat((diverse, intrinsic), 1))), diverse


class ClassExtraction(nn.Module):
    def __init__(self, channels, side):
        super().__init__()
        self.sides = (1, 2, 3, 6, side)
        self.project = nn.Linear(sum(s**2 for s in self.sides), channels)

    def forward(self, masks):
        return self.project(torch.cat([F.adaptive_avg_pool2d(masks, side).flatten(2) for side in self.sides], 2))


class TokenUpdate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.dynamic = nn.Linear(channels, 2 * channels)
        self.input = nn.Linear(channels, channels)
        self.gate = nn.Linear(channels, channels)
        self.norm_gate = nn.LayerNorm(channels)
        self.norm_update = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, tokens, update):
        gate_features, features = self.dynamic(update).chunk(2, -1)
        gate = torch.sigmoid(self.norm_gate(self.gate(self.input(tokens) * gate_features)))
        return F.relu(self.norm(self.project(gate * self.norm_update(features) + tokens)))


class SemanticsAttention(nn.Module):
    def __init__(self, channels, heads, mlp_ratio, gelu, activate, invert):
        super().__init__()
        self.heads, self.depth = heads, channels // heads
        self.activation = nn.ReLU() if activate else nn.Identity()
        self.sign = -1.0 if invert else 1.0
        self.norm_pixels = ChannelLayerNorm(channels)
        self.norm_tokens = nn.LayerNorm(channels)
        self.query_depthwise = depthwise(channels)
        self.query_pointwise = nn.Conv2d(channels, channels, 1)
        self.key_value = nn.Linear(channels, 2 * channels, bias=False)
        self.project = nn.Conv2d(channels, channels, 1)
        self.norm_mlp = ChannelLayerNorm(channels)
        self.mlp = ConvMLP(channels, mlp_ratio, gelu)

    def forward(self, lateral, tokens):
        """Lateral [B, D, H, W], tokens [B, K, D] -> features [B, D, H, W], masks [B, K, H, W]."""
        batch, channels, height, width = lateral.shape
        classes = tokens.shape[1]
        query = self.activation(self.query_depthwise(self.norm_pixels(lateral)))
        query = self.activation(self.query_pointwise(query)).reshape(batch, self.heads, self.depth, -1)
        key, value = self.key_value(self.norm_tokens(tokens)).chunk(2, -1)
        key, value = (x.reshape(batch, classes, self.heads, -1).transpose(1, 2) for x in (key, value))
        affinity = (key / math.sqrt(self.depth)) @ query  # [B, h, K, H * W]
        weights = torch.softmax(affinity * self.sign, 2)
        y = (value.transpose(2, 3) @ weights).reshape(batch, channels, height, width)
        y = self.project(y) + lateral
        features = self.mlp(self.norm_mlp(y)) + y
        return features, affinity.mean(1).reshape(batch, classes, height, width)


class DepthwiseNormReLU(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = depthwise(channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


class GhostUpsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.primary = ConvNormReLU(channels, 2 * channels, 1)
        self.cheap = DepthwiseNormReLU(2 * channels)

    def forward(self, x):
        primary = self.primary(x)
        return F.pixel_shuffle(torch.cat((primary, self.cheap(primary)), 1), 2)


class ECENet(nn.Module):
    def __init__(
        self, in_channels, num_classes, channels, heads, mlp_ratio, gelu, dropout, token_ratio, query_activation,
        invert_attention,
    ):  # fmt: skip
        super().__init__()
        self.reconstructions = nn.ModuleList(FeatureReconstruction(width) for width in in_channels)
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1, bias=False) for width in in_channels)
        self.first_mask = nn.Sequential(
            nn.Conv2d(channels, channels, 1, groups=heads, bias=False), nn.Conv2d(channels, num_classes, 1, bias=False)
        )
        side = math.floor(math.sqrt(num_classes) * token_ratio)
        self.extractions = nn.ModuleList(ClassExtraction(channels, side + 1 - side % 2) for _ in range(4))
        self.attentions = nn.ModuleList(
            SemanticsAttention(channels, heads, mlp_ratio, gelu, query_activation == "relu", invert_attention)
            for _ in range(3)
        )
        self.updates = nn.ModuleList(TokenUpdate(channels) for _ in range(3))
        self.upsamples = nn.ModuleList(
            nn.Sequential(*(GhostUpsample(channels) for _ in range(level))) for level in (1, 2, 3)
        )
        self.fusion = ConvNormReLU(4 * channels, channels, 3)
        self.dropout = nn.Dropout2d(dropout)
        self.class_scores = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
        self.classifier = classifier(channels, num_classes)

    def forward(self, features):
        """Four maps, finest first -> logits at stride 4, masks and diverse branches."""
        features, diverse = zip(*(cell(x) for cell, x in zip(self.reconstructions, features, strict=True)), strict=True)
        laterals = [layer(x) for layer, x in zip(self.laterals, features, strict=True)]
        z, masks = [None, None, None, laterals[3]], [None, None, None, self.first_mask(laterals[3])]
        tokens = self.extractions[3](masks[3])
        for i in (2, 1, 0):
            z[i], masks[i] = self.attentions[i](laterals[i], tokens)
            tokens = self.updates[i](tokens, self.extractions[i](masks[i]))
        size = z[0].shape[2:]
        maps = [z[0]] + [resize(self.upsamples[i - 1](z[i]), size) for i in (1, 2, 3)]
        embedded = self.fusion(torch.cat(maps, 1))
        coarse = sum(resize(masks[i], size) for i in (3, 2, 1))
        scores = torch.softmax(self.class_scores(tokens), -1).diagonal(dim1=1, dim2=2)
        logits = self.classifier(self.dropout(embedded)) + scores[:, :, None, None] * torch.sigmoid(coarse + masks[0])
        return {"logits": logits, "masks": [coarse], "diverse": diverse}
