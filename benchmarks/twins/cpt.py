"""Category Prototype Transformer with prototypes and memory; see src/models/decoders/cpt.py."""

import torch
import torch.nn.functional as F
from torch import nn

from twins.layers import ChannelLayerNorm, ConvMLP, ConvNormReLU, classifier, depthwise, resize

EPS = 1e-6  # of the layer norms


class Memory(nn.Module):
    def __init__(self, num_classes, channels, momentum):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("prototypes", F.normalize(torch.randn(num_classes, channels), dim=1))

    def forward(self, prototypes):
        mixed = (1 - self.momentum) * prototypes + self.momentum * self.prototypes
        if self.training:
            new = F.normalize(prototypes.detach().mean(0), dim=1)
            self.prototypes = (1 - self.momentum) * self.prototypes + self.momentum * new
        return mixed


class Prototypes(nn.Module):
    def __init__(self, num_classes, channels, groups, momentum):
        super().__init__()
        self.align = nn.Conv2d(channels, channels, 1, groups=groups, bias=False)
        self.memory = Memory(num_classes, channels, momentum)

    def forward(self, x, masks):
        shares = torch.softmax(masks.flatten(2), 2)
        return self.memory(shares @ self.align(x).flatten(2).transpose(1, 2))


class CPTBlock(nn.Module):
    def __init__(self, num_classes, channels, heads, mlp_ratio, gelu, momentum, invert):
        super().__init__()
        self.sign = -1.0 if invert else 1.0
        self.heads, self.depth = heads, channels // heads
        self.norm_low = ChannelLayerNorm(channels, EPS)
        self.norm_high = ChannelLayerNorm(channels, EPS)
        self.mask = nn.Sequential(
            nn.Conv2d(channels, channels, 1, groups=heads, bias=False), nn.Conv2d(channels, num_classes, 1, bias=False)
        )
        self.prototypes = Prototypes(num_classes, channels, heads, momentum)
        self.query_depthwise = depthwise(channels)
        self.query_pointwise = nn.Conv2d(channels, channels, 1)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.project = nn.Conv2d(channels, channels, 1)
        self.norm_mlp = ChannelLayerNorm(channels, EPS)
        self.mlp = ConvMLP(channels, mlp_ratio, gelu)

    def forward(self, low, high):
        """Fine map [B, D, H, W], coarse map [B, D, h, w] -> fine map, masks [B, K, h, w]."""
        high = self.norm_high(high)
        masks = self.mask(high)
        tokens = self.prototypes(high, masks)
        batch, classes = tokens.shape[:2]
        query = self.query_pointwise(self.query_depthwise(self.norm_low(low)))
        query = query.reshape(batch, self.heads, self.depth, -1).transpose(2, 3)
        key, value = self.key_value(tokens).view(batch, classes, 2, self.heads, self.depth).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(query, self.sign * key, value)
        y = low + self.project(y.transpose(2, 3).reshape(low.shape))
        return y + self.mlp(self.norm_mlp(y)), masks


class CPT(nn.Module):
    def __init__(
        self, in_channels, num_classes, channels, heads, mlp_ratio, gelu, dropout, pool_channels, memory,
        invert_attention,
    ):  # fmt: skip
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in in_channels)
        momentum = memory["momentum"]
        self.blocks = nn.ModuleList(
            CPTBlock(num_classes, channels, heads, mlp_ratio, gelu, momentum, invert_attention) for _ in range(3)
        )  # fmt: skip
        self.outputs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.fusion = ConvNormReLU(4 * channels, channels, 3)
        self.pool = ConvNormReLU(in_channels[3], pool_channels, 1)
        self.dropout = nn.Dropout2d(dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
        self.classifier = classifier(channels + pool_channels, num_classes)

    def forward(self, features):
        """Four maps, finest first -> logits at stride 4, masks of the blocks."""
        x = self.laterals[3](features[3])
        maps, masks = [x], []
        for i in (2, 1, 0):
            x, mask = self.blocks[i](self.laterals[i](features[i]), x)
            maps.append(self.outputs[i](x))
            masks.append(mask)
        size = maps[3].shape[2:]
        fused = self.fusion(torch.cat([resize(one, size) for one in maps[:3]] + [maps[3]], 1))
        pooled = self.pool(features[3].mean((2, 3), keepdim=True)).expand(-1, -1, *size)
        return {"logits": self.classifier(self.dropout(torch.cat((fused, pooled), 1))), "masks": masks}
