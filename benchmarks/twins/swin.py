"""Swin-T with a norm per stage, as in timm and mmsegmentation; see src/models/backbones/swin.py.

Maps are padded to whole windows before the shift, and every axis has more than one window.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

from twins.layers import DropPath

CHANNELS, DEPTHS, HEADS = 96, (2, 2, 6, 2), (3, 6, 12, 24)


def to_windows(x, window):
    """[B, H, W, C] -> [B * windows, window * window, C]."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height // window, window, width // window, window, channels)
    return x.transpose(2, 3).reshape(-1, window * window, channels)


def from_windows(x, window, height, width):
    """[B * windows, window * window, C] -> [B, H, W, C]."""
    channels = x.shape[2]
    x = x.view(-1, height // window, width // window, window, window, channels)
    return x.transpose(2, 3).reshape(-1, height, width, channels)


@lru_cache(maxsize=16)
def shift_mask(height, width, window, shift):
    """Mask of shifted windows [windows, 1, N, N]: 0 between neighbors before the shift, else -100."""
    region = torch.zeros(1, height, width, 1)
    parts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for i, rows in enumerate(parts):
        for j, columns in enumerate(parts):
            region[:, rows, columns] = 3 * i + j
    region = to_windows(region, window).squeeze(2)
    return ((region[:, None] != region[:, :, None]) * -100.0).unsqueeze(1)


class WindowAttention(nn.Module):
    def __init__(self, channels, heads, window):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        tokens = torch.arange(window)
        offset = tokens[:, None] - tokens + window - 1
        pairs = offset[:, None, :, None] * (2 * window - 1) + offset[None, :, None, :]
        self.register_buffer("positions", pairs.reshape(-1), persistent=False)

    def forward(self, x, mask):
        """x [B * windows, N, C], mask [windows, 1, N, N] or None."""
        count, tokens, channels = x.shape
        q, k, v = self.qkv(x).view(count, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.relative_position_bias_table[self.positions].view(tokens, tokens, -1).permute(2, 0, 1)
        bias = bias.unsqueeze(0)
        if mask is not None:
            bias = (bias + mask).repeat(count // mask.shape[0], 1, 1, 1)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(x.transpose(1, 2).reshape(count, tokens, channels))


class MLP(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, channels, heads, window, shift, rate):
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = MLP(channels)
        self.drop = DropPath(rate)

    def forward(self, x):
        """[B, H, W, C] -> the same."""
        x = x + self.drop(self.attend(self.norm1(x)))
        return x + self.drop(self.mlp(self.norm2(x)))

    def attend(self, x):
        height, width = x.shape[1:3]
        x = F.pad(x, (0, 0, 0, -width % self.window, 0, -height % self.window))
        padded, mask = x.shape[1:3], None
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), (1, 2))
            mask = shift_mask(*padded, self.window, self.shift)
        x = self.attn(to_windows(x, self.window), mask)
        x = from_windows(x, self.window, *padded)
        if self.shift:
            x = torch.roll(x, (self.shift, self.shift), (1, 2))
        return x[:, :height, :width]


class PatchMerging(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        x = torch.cat((x[:, ::2, ::2], x[:, 1::2, ::2], x[:, ::2, 1::2], x[:, 1::2, 1::2]), -1)
        return self.reduction(self.norm(x))


class Stage(nn.Module):
    def __init__(self, channels, depth, heads, window, rates, downsample):
        super().__init__()
        shifts = [window // 2 if index % 2 else 0 for index in range(depth)]
        self.blocks = nn.ModuleList(
            Block(channels, heads, window, shift, rate) for shift, rate in zip(shifts, rates, strict=True)
        )
        self.downsample = PatchMerging(channels) if downsample else None

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class PatchEmbed(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 4, 4)
        self.norm = nn.LayerNorm(channels)

    def forward(self, image):
        image = F.pad(image, (0, -image.shape[3] % 4, 0, -image.shape[2] % 4))
        return self.norm(self.proj(image).permute(0, 2, 3, 1))


class SwinTiny(nn.Module):
    """Image [B, 3, H, W] -> four maps, finest first."""

    out_channels = tuple(CHANNELS * 2**i for i in range(4))

    def __init__(self, window: int = 7, drop_path: float = 0.2):
        super().__init__()
        self.patch_embed = PatchEmbed(CHANNELS)
        rates = torch.linspace(0, drop_path, sum(DEPTHS)).tolist()
        starts = [sum(DEPTHS[:i]) for i in range(5)]
        self.layers = nn.ModuleList(
            Stage(self.out_channels[i], DEPTHS[i], HEADS[i], window, rates[starts[i] : starts[i + 1]], i < 3)
            for i in range(4)
        )
        self.norm0, self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(c) for c in self.out_channels)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)

    def forward(self, image):
        x, maps = self.patch_embed(image), []
        for stage, norm in zip(self.layers, (self.norm0, self.norm1, self.norm2, self.norm3), strict=True):
            x = stage(x)
            maps.append(norm(x).permute(0, 3, 1, 2))
            if stage.downsample is not None:
                x = stage.downsample(x)
        return maps
