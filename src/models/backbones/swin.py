"""Swin Transformer pyramid backbone.

Paper: Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo, "Swin Transformer: Hierarchical Vision Transformer using Shifted
Windows", ICCV 2021 (original code: github.com/microsoft/Swin-Transformer, MIT license).
From the paper: sizes, patch embedding, windows and shifts, relative position bias, patch merging, pre-norm.
As the field has it since for dense prediction (mmsegmentation): a layer norm per output stage; any image size,
each stage padded to whole windows inside and cropped again, padding before the shift. timm pads after the shift,
which lets the first rows see the last ones at sizes that do not divide; ``pad_before_shift=False`` does that.
Along an axis that a single window covers there is nothing to shift to: as in the original classification code
and in timm, the shift is then left out; ``shift_single_window=True`` shifts and masks there too, as
mmsegmentation does. All of these agree where every stage divides into at least two windows.
Deviations: none in the numbers.

Parameters have the original's names with MindSpore's endings: ``patch_embed.proj.weight [C, 3, 4, 4]``,
``patch_embed.norm``, ``layers.I.blocks.J.{norm1, attn.qkv, attn.relative_position_bias_table, attn.proj, norm2,
mlp.fc1, mlp.fc2}``, ``layers.I.downsample.{norm, reduction}`` for I = 0..2 (at the end of a stage), ``norm0`` to
``norm3``. ``downsample`` takes the four patches in the original's order: top left, bottom left, top right, bottom
right.
"""

import numpy as np
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import TruncatedNormal, initializer

from src.models.layers import token_rows
from src.models.layers.activation import GELU
from src.models.layers.attention import BiasedAttention
from src.models.layers.dense import AddBias, Dense
from src.models.layers.drop_path import DropPaths, add_branch, linear_rates
from src.models.layers.norm import LayerNorm

# name: channels of the first stage, blocks per stage, heads per stage
ARCHITECTURES = {
    "swin_tiny": (96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "swin_small": (96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "swin_base": (128, (2, 2, 18, 2), (4, 8, 16, 32)),
    "swin_large": (192, (2, 2, 18, 2), (6, 12, 24, 48)),
}
PATCH = 4  # pixels a side
TABLES = 8  # arrays per stage on a canvas: two kinds of blocks with three each, and two of the downsampling


class PatchEmbed(nn.Cell):
    """Image [B, 3, H, W] -> tokens [B, ceil(H / 4) * ceil(W / 4), C].

    The convolution, whose kernel is as large as its stride, is one matrix product.
    """

    def __init__(self, channels):
        super().__init__()
        self.proj = PatchProjection(channels)
        self.norm = LayerNorm(channels)

    def construct(self, image):
        return self.norm(self.proj(image))


class PatchProjection(nn.Cell):
    """Linear map of the 48 values of each patch; the image is filled up with zeros at the right and bottom."""

    def __init__(self, channels):
        super().__init__()
        self.weight = Parameter(initializer(TruncatedNormal(0.02), (channels, 3, PATCH, PATCH)), name="weight")
        self.bias = Parameter(initializer("zeros", (channels,)), name="bias")
        self.product = ops.MatMul(transpose_b=True)
        self.add_bias = AddBias()

    def construct(self, image):
        batch, _, height, width = image.shape
        if height % PATCH:
            image = ops.cat((image, ops.zeros((batch, 3, PATCH - height % PATCH, width), image.dtype)), 2)
        if width % PATCH:
            image = ops.cat((image, ops.zeros((batch, 3, image.shape[2], PATCH - width % PATCH), image.dtype)), 3)
        rows, columns = image.shape[2] // PATCH, image.shape[3] // PATCH
        patches = image.reshape(batch, 3, rows, PATCH, columns, PATCH).transpose(0, 2, 4, 1, 3, 5)
        weight = self.weight.astype(image.dtype).reshape(self.weight.shape[0], -1)
        tokens = self.add_bias(self.product(patches.reshape(-1, 3 * PATCH * PATCH), weight), self.bias)
        return tokens.reshape(batch, rows * columns, -1)


class WindowAttention(nn.Cell):
    """Multi-head self-attention within windows: [B * windows, N, C] -> the same, N = window * window."""

    def __init__(self, channels, heads, window):
        super().__init__()
        self.channels, self.heads, self.window = channels, heads, window
        self.scale = (channels // heads) ** -0.5
        self.qkv = Dense(channels, 3 * channels)
        self.proj = Dense(channels, channels)
        self.relative_position_bias_table = Parameter(
            initializer(TruncatedNormal(0.02), ((2 * window - 1) ** 2, heads)), name="relative_position_bias_table"
        )
        self.attention = BiasedAttention()
        self.unstack = ops.Unstack(0)

    def construct(self, x, mask):
        """mask: [windows * heads * N * N] or [1], see `token_rows.attention_mask`."""
        tokens, depth = self.window**2, self.channels // self.heads
        qkv = self.qkv(x).reshape(-1, tokens, 3, self.heads, depth).transpose(2, 0, 3, 1, 4)
        q, k, v = self.unstack(qkv)
        bias = ops.gather(self.relative_position_bias_table, token_rows.relative_positions_of(self.window), 0)
        bias = bias.astype(x.dtype).transpose(1, 0).reshape(-1)
        y, _ = self.attention(q * self.scale, k, v, bias, mask.astype(x.dtype))
        return self.proj(y.transpose(0, 2, 1, 3).reshape(-1, tokens, self.channels))


class MLP(nn.Cell):
    """[..., C] -> [..., 4 C] -> [..., C]."""

    def __init__(self, channels):
        super().__init__()
        self.fc1 = Dense(channels, 4 * channels)
        self.gelu = GELU()
        self.fc2 = Dense(4 * channels, channels)

    def construct(self, x):
        return self.fc2(self.gelu(self.fc1(x)))


class Block(nn.Cell):
    """Window attention and MLP, each with its norm before and the residual around: [B, H * W, C] -> the same."""

    def __init__(self, channels, heads, window, shifted, pad_before_shift, shift_single_window):
        super().__init__()
        self.window, self.shift = window, window // 2 if shifted else 0
        self.pad_first, self.shift_single = pad_before_shift, shift_single_window
        self.norm1 = LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window)
        self.norm2 = LayerNorm(channels)
        self.mlp = MLP(channels)
        self.move = token_rows.MoveRows()

    def construct(self, x, height, width, keep1, keep2, tables):
        """keep1, keep2: factors of the two branches, see `add_branch`; tables: of `canvas_tables`, or none."""
        batch, _, channels = x.shape
        on_canvas = len(tables) > 0
        into, back, mask = tables if on_canvas else self.constant_tables(height, width)
        y = self.move(self.norm1(x), into, back, on_canvas).reshape(-1, self.window**2, channels)
        y = self.attn(y, mask).reshape(batch, -1, channels)
        x = add_branch(x, self.move(y, back, into, on_canvas), keep1)
        return add_branch(x, self.mlp(self.norm2(x)), keep2)

    def shift_of(self, height, width):
        """By how many rows and columns a map of this size is shifted."""
        rows = self.shift if self.shift_single or height > self.window else 0
        columns = self.shift if self.shift_single or width > self.window else 0
        return rows, columns

    def constant_tables(self, height, width):
        """Into windows, back, and the mask, for a size that is known while the graph is compiled."""
        shift = self.shift_of(height, width)
        into, back = token_rows.window_tables_of(height, width, self.window, shift, self.pad_first)
        return into, back, token_rows.attention_mask_of(height, width, self.window, shift, self.attn.heads)

    def canvas_tables(self, size, canvas):
        """The same as arrays, for a map [H, W] in the corner of a larger one, whose size alone gives their shapes."""
        shift, length = self.shift_of(*size), self.attn.heads * self.window**4
        mask = np.zeros(token_rows.windows_in(*canvas, self.window) * length if self.shift else 1, np.float32)
        if shift != (0, 0):
            own = token_rows.shift_mask(*size, self.window, shift, self.attn.heads)
            mask[: len(own)] = own
        return *token_rows.window_indices(*size, self.window, shift, self.pad_first, canvas), mask


class PatchMerging(nn.Cell):
    """2 x 2 tokens to one: [B, H * W, C] -> [B, ceil(H / 2) * ceil(W / 2), 2 C]."""

    def __init__(self, channels):
        super().__init__()
        self.norm = LayerNorm(4 * channels)
        self.reduction = Dense(4 * channels, 2 * channels, bias=False)
        self.move = token_rows.MoveRows()

    def construct(self, x, height, width, tables):
        on_canvas = len(tables) > 0
        into, back = tables if on_canvas else token_rows.block_tables_of(height, width, 2, True, True)
        x = self.move(x, into, back, on_canvas).reshape(x.shape[0], -1, 4 * x.shape[2])
        return self.reduction(self.norm(x))


class Stage(nn.Cell):
    """Blocks, every second one shifted, and the way to the next stage."""

    def __init__(self, channels, depth, heads, window, downsample, **borders):
        super().__init__()
        self.blocks = nn.CellList([Block(channels, heads, window, j % 2 == 1, **borders) for j in range(depth)])
        self.downsample = PatchMerging(channels) if downsample else None

    def construct(self, x, height, width, keeps, tables):
        """[B, H * W, C] and two factors per block -> [B, H * W, C]; the downsampling is called from outside."""
        for j, block in enumerate(self.blocks):
            own = tables[3 * (j % 2) : 3 * (j % 2) + 3]
            x = block(x, height, width, keeps[2 * j], keeps[2 * j + 1], own)
        return x

    def canvas_tables(self, size, canvas):
        """Arrays for the blocks without a shift, for those with one, and for the downsampling."""
        kinds = (*self.blocks, self.blocks[0])[:2]  # a single block stands for both
        tables = [table for block in kinds for table in block.canvas_tables(size, canvas)]
        return [*tables, *token_rows.block_indices(*size, 2, True, True, canvas)]


class SwinTransformer(nn.Cell):
    """Four feature maps of an image, finest first, each layer-normed over its channels.

    The image size is fixed when the graph is compiled; another size compiles anew, unless the images lie on a canvas
    (`canvas_tables`). The options are explained in ``src.schema.backbones.SwinConfig``, what happens at borders at the
    head of this file.

    Args:
        name: a key of ``ARCHITECTURES``.
        depths: blocks per stage instead of the architecture's, for tests.

    Attributes:
        out_channels: channels of the four maps.
        strides: their strides; a map has ceil(H / stride) rows and ceil(W / stride) columns.
        any_shape: whether the cell can be compiled once for images of any size.
    """

    any_shape = False

    def __init__(self, name, *, window, drop_path, pad_before_shift, shift_single_window, depths=None):
        super().__init__()
        channels, default_depths, heads = ARCHITECTURES[name]
        depths = depths or default_depths
        self.out_channels = tuple(channels * 2**i for i in range(4))
        self.strides = (4, 8, 16, 32)
        self.patch_embed = PatchEmbed(channels)
        borders = {"pad_before_shift": pad_before_shift, "shift_single_window": shift_single_window}
        self.layers = nn.CellList(
            [Stage(self.out_channels[i], depths[i], heads[i], window, downsample=i < 3, **borders) for i in range(4)]
        )
        self.norm0, self.norm1, self.norm2, self.norm3 = [LayerNorm(c) for c in self.out_channels]
        self.drop_path = DropPaths(linear_rates(drop_path, depths, branches=2))
        self.starts = tuple(2 * sum(depths[:i]) for i in range(5))

    def canvas_tables(self, size, canvas):
        """Arrays that tell ``construct`` that images of ``size`` [H, W] lie in the top left corner of a canvas.

        What lies outside the images is then never read. The canvas is filled with zeros; its size alone gives the
        shapes of the arrays.
        """
        tables = []
        size, canvas = ([-(-side // PATCH) for side in sides] for sides in (size, canvas))
        for stage in self.layers:
            tables += stage.canvas_tables(size, canvas)
            size, canvas = ([-(-side // 2) for side in sides] for sides in (size, canvas))
        return tables

    def construct(self, image, tables=()):
        """[B, 3, H, W], H and W at least 32 -> four maps [B, C_i, ceil(H / s_i), ceil(W / s_i)].

        With ``tables``, those of `canvas_tables`, the maps are meaningful up to the size of the images.

        Raises ValueError for a smaller image.
        """
        token_rows.check_image(image)
        height, width = -(-image.shape[2] // PATCH), -(-image.shape[3] // PATCH)
        keeps = self.drop_path(image.shape[0])
        norms = (self.norm0, self.norm1, self.norm2, self.norm3)
        x = self.patch_embed(image)
        maps = ()
        for i, stage in enumerate(self.layers):
            own = tables[TABLES * i : TABLES * i + TABLES]
            x = stage(x, height, width, keeps[self.starts[i] : self.starts[i + 1]], own)
            maps += (token_rows.to_map(norms[i](x), height, width),)
            if i < 3:
                x = stage.downsample(x, height, width, own[TABLES - 2 :])
                height, width = -(-height // 2), -(-width // 2)
        return maps
