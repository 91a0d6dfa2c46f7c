"""Mix Transformer (MiT) pyramid backbone, the encoder of SegFormer.

Paper: Xie, Wang, Yu, Anandkumar, Alvarez, Luo, "SegFormer: Simple and Efficient Design for Semantic Segmentation
with Transformers", NeurIPS 2021 (original code: github.com/NVlabs/SegFormer).
From the paper: sizes B0 to B5, overlapping patch embedding, attention over spatially reduced keys, Mix-FFN with a
depthwise 3x3 convolution in place of position codes, a layer norm per stage.
Deviations: every layer norm has eps 1e-5, as in Hugging Face transformers; the original code has 1e-6 in the
blocks and stage norms (it does not matter to 1e-5 of a feature's spread).

Parameters have the original's names with MindSpore's endings: for stage i = 1..4 ``patch_embedI.{proj, norm}``,
``blockI.J.{norm1, attn.q, attn.kv, attn.proj, attn.sr, attn.norm, norm2, mlp.fc1, mlp.dwconv, mlp.fc2}``,
``normI``. ``attn.kv`` holds the keys first; ``attn.sr`` (a convolution, [C, C, R, R]) and ``attn.norm`` exist in
stages 1 to 3.
"""

import numpy as np
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import HeNormal, initializer

from src.models.layers import token_rows
from src.models.layers.activation import GELU
from src.models.layers.attention import Attention
from src.models.layers.convolution import conv, depthwise
from src.models.layers.dense import AddBias, Dense
from src.models.layers.drop_path import DropPaths, add_branch, linear_rates
from src.models.layers.norm import LayerNorm

# name: channels of the first stage, blocks per stage
ARCHITECTURES = {
    "mit_b0": (32, (2, 2, 2, 2)),
    "mit_b1": (64, (2, 2, 2, 2)),
    "mit_b2": (64, (3, 4, 6, 3)),
    "mit_b3": (64, (3, 4, 18, 3)),
    "mit_b4": (64, (3, 8, 27, 3)),
    "mit_b5": (64, (3, 6, 40, 3)),
}
WIDTHS = (1, 2, 5, 8)  # channels of the stages, relative to the first; also their numbers of heads
REDUCTIONS = (8, 4, 2, 1)  # of the keys, a side
NO_KEY = -1e9  # added to the logits of keys outside the image: their weight is exactly zero


class PatchEmbed(nn.Cell):
    """Overlapping patches: [B, in, H, W] -> tokens [B, H' * W', C] and (H', W')."""

    def __init__(self, in_channels, channels, kernel_size, stride):
        super().__init__()
        self.proj = conv(in_channels, channels, kernel_size, stride, bias=True)
        self.norm = LayerNorm(channels)

    def construct(self, x):
        x = self.proj(x)
        batch, channels, height, width = x.shape
        return self.norm(x.reshape(batch, channels, -1).transpose(0, 2, 1)), height, width


class SpatialReduction(nn.Cell):
    """Convolution with kernel = stride = R as one matrix product: [B, H * W, C] -> [B, ⌊H / R⌋ * ⌊W / R⌋, C]."""

    def __init__(self, channels, reduction):
        super().__init__()
        self.reduction = reduction
        shape = (channels, channels, reduction, reduction)
        self.weight = Parameter(initializer(HeNormal(mode="fan_out"), shape), name="weight")
        self.bias = Parameter(initializer("zeros", (channels,)), name="bias")
        self.move = token_rows.MoveRows()
        self.product = ops.MatMul(transpose_b=True)
        self.add_bias = AddBias()

    def construct(self, x, height, width):
        batch, _, channels = x.shape
        into, back = token_rows.block_tables_of(height, width, self.reduction, False, False)
        blocks = self.move(x, into, back).reshape(-1, self.reduction**2 * channels)
        weight = self.weight.astype(x.dtype).transpose(0, 2, 3, 1).reshape(channels, -1)
        return self.add_bias(self.product(blocks, weight), self.bias).reshape(batch, -1, channels)


class EfficientAttention(nn.Cell):
    """Multi-head attention over keys and values at 1 / R of the resolution: [B, H * W, C] -> the same."""

    def __init__(self, channels, heads, reduction):
        super().__init__()
        self.heads, self.depth = heads, channels // heads
        self.scale = self.depth**-0.5
        self.q = Dense(channels, channels)
        self.kv = Dense(channels, 2 * channels)
        self.proj = Dense(channels, channels)
        self.reduced = reduction > 1
        if self.reduced:
            self.sr = SpatialReduction(channels, reduction)
            self.norm = LayerNorm(channels)
        self.attention = Attention()
        self.unstack = ops.Unstack(0)

    def construct(self, x, height, width, keys):
        """keys: None, or what is added to the logits of each key, [⌊H / R⌋ * ⌊W / R⌋]."""
        batch, tokens, channels = x.shape
        q = self.q(x).reshape(batch, tokens, self.heads, self.depth).transpose(0, 2, 1, 3)
        source = self.norm(self.sr(x, height, width)) if self.reduced else x
        kv = self.kv(source).reshape(batch, -1, 2, self.heads, self.depth).transpose(2, 0, 3, 1, 4)
        k, v = self.unstack(kv)
        y, _ = self.attention(q * self.scale, k, v, keys)
        return self.proj(y.transpose(0, 2, 1, 3).reshape(batch, tokens, channels))


class MixFFN(nn.Cell):
    """Dense, depthwise 3x3, GELU, Dense: [B, H * W, C] -> the same, four times as wide inside."""

    def __init__(self, channels):
        super().__init__()
        self.fc1 = Dense(channels, 4 * channels)
        self.dwconv = depthwise(4 * channels)
        self.gelu = GELU()
        self.fc2 = Dense(4 * channels, channels)

    def construct(self, x, height, width, inside):
        x = self.dwconv(clear(token_rows.to_map(self.fc1(x), height, width), inside))
        x = self.gelu(x).reshape(x.shape[0], x.shape[1], -1).transpose(0, 2, 1)
        return self.fc2(x)


class Block(nn.Cell):
    """Attention and Mix-FFN, each with its norm before and the residual around: [B, H * W, C] -> the same."""

    def __init__(self, channels, heads, reduction):
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.attn = EfficientAttention(channels, heads, reduction)
        self.norm2 = LayerNorm(channels)
        self.mlp = MixFFN(channels)

    def construct(self, x, height, width, keep1, keep2, inside, keys):
        """keep1, keep2: factors of the two branches, see `add_branch`; inside, keys: see `canvas_tables`, or None."""
        x = add_branch(x, self.attn(self.norm1(x), height, width, keys), keep1)
        return add_branch(x, self.mlp(self.norm2(x), height, width, inside), keep2)


def clear(x, inside):
    """Set a map [B, C, H, W] to zero where ``inside`` [1, 1, H, W] is 0; None: leave it as it is."""
    return x if inside is None else x * inside.astype(x.dtype)


class MixTransformer(nn.Cell):
    """Four feature maps of an image, finest first, each layer-normed over its channels.

    The image size is fixed when the graph is compiled; another size compiles anew, unless the images lie on a canvas
    (`canvas_tables`). The options are explained in ``src.schema.backbones.MixTransformerConfig``.

    Args:
        name: a key of ``ARCHITECTURES``.
        depths: blocks per stage instead of the architecture's, for tests.

    Attributes:
        out_channels: channels of the four maps.
        strides: their strides; a map has ceil(H / stride) rows and ceil(W / stride) columns.
        any_shape: whether the cell can be compiled once for images of any size.
    """

    any_shape = False

    def __init__(self, name, *, drop_path, depths=None):
        super().__init__()
        channels, default_depths = ARCHITECTURES[name]
        depths = depths or default_depths
        self.out_channels = tuple(channels * width for width in WIDTHS)
        self.strides = (4, 8, 16, 32)
        first, *others = self.out_channels
        self.patch_embed1 = PatchEmbed(3, first, 7, 4)
        self.patch_embed2, self.patch_embed3, self.patch_embed4 = [
            PatchEmbed(before, here, 3, 2) for before, here in zip(self.out_channels[:3], others, strict=True)
        ]
        self.block1, self.block2, self.block3, self.block4 = [
            nn.CellList([Block(self.out_channels[i], WIDTHS[i], REDUCTIONS[i]) for _ in range(depths[i])])
            for i in range(4)
        ]
        self.norm1, self.norm2, self.norm3, self.norm4 = [LayerNorm(c) for c in self.out_channels]
        self.drop_path = DropPaths(linear_rates(drop_path, depths, branches=2))
        self.starts = tuple(2 * sum(depths[:i]) for i in range(4))

    def canvas_tables(self, size, canvas):
        """Arrays that tell ``construct`` that images of ``size`` [H, W] lie in the top left corner of a canvas.

        For each stage: 1 inside the images and 0 outside, [1, 1, H_i, W_i], and what is added to the attention's logits
        of each key. The canvas is filled with zeros; its size alone gives the shapes of the arrays.
        """
        tables = []
        for stride, reduction in zip(self.strides, REDUCTIONS, strict=True):
            own, whole = ([-(-side // stride) for side in sides] for sides in (size, canvas))
            inside = _corner(own, whole)
            # A block of keys needs all its tokens.
            keys = _corner([side // reduction for side in own], [side // reduction for side in whole])
            tables += [inside[None, None], np.where(keys.reshape(-1) > 0, 0, NO_KEY).astype(np.float32)]
        return tables

    def construct(self, image, tables=()):
        """[B, 3, H, W], H and W at least 32 -> four maps [B, C_i, ceil(H / s_i), ceil(W / s_i)].

        With ``tables``, those of `canvas_tables`, the maps are meaningful up to the size of the images.

        Raises ValueError for a smaller image.
        """
        token_rows.check_image(image)
        keeps = self.drop_path(image.shape[0])
        if len(tables) == 0:
            tables = (None,) * 8
        x1 = self.stage(image, self.patch_embed1, self.block1, self.norm1, keeps[self.starts[0] :], tables[:2])
        x2 = self.stage(x1, self.patch_embed2, self.block2, self.norm2, keeps[self.starts[1] :], tables[2:4])
        x3 = self.stage(x2, self.patch_embed3, self.block3, self.norm3, keeps[self.starts[2] :], tables[4:6])
        x4 = self.stage(x3, self.patch_embed4, self.block4, self.norm4, keeps[self.starts[3] :], tables[6:])
        return x1, x2, x3, x4

    def stage(self, x, embed, blocks, norm, keeps, tables):
        """[B, C_before, H, W] -> [B, C, H', W'], 0 outside the images."""
        tokens, height, width = embed(x)
        for j, block in enumerate(blocks):
            tokens = block(tokens, height, width, keeps[2 * j], keeps[2 * j + 1], *tables)
        return clear(token_rows.to_map(norm(tokens), height, width), tables[0])


def _corner(size, canvas):
    """1 in the top left corner of ``size``, 0 elsewhere, fp32 of the size of the canvas."""
    inside = np.zeros(canvas, np.float32)
    inside[: size[0], : size[1]] = 1
    return inside
