"""Rearrangements of a token map as gathers of whole rows, with tables built once per size.

Shifting, padding, cutting into windows, merging patches and their inverses only move tokens. Each is one gather with
an index table, and its gradient is the gather with the inverse table; on the CPU this is faster than concatenations and
transpositions (docs/performance.md). The tables depend on the size only. They are constants of the compiled graph and
are cached for the next compilation, so no training step builds one.
"""

from functools import lru_cache

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.ops import functional as F

from src.models.layers import backend
from src.models.layers.image_size import check_size

MASKED = -100.0  # added to the logits of pairs that must not attend to each other; as in the original


def check_image(image):
    """Refuse a small image, and one whose size is unknown at compile time: the tables are constants of the graph."""
    if F.is_sequence_value_unknown(ops.shape(image)):
        raise ValueError("Swin and MiT are compiled for one image size: call them without set_inputs(None, ...)")
    check_size(image)


def to_map(tokens, height, width):
    """[B, H * W, C] -> [B, C, H, W]."""
    return tokens.transpose(0, 2, 1).reshape(tokens.shape[0], tokens.shape[2], height, width)


def _inverse(index, count):
    """Where each of ``count`` rows went; ``len(index)``, one past the end, for rows that went nowhere."""
    inverse = np.full(count, len(index), np.int32)
    moved = np.nonzero(index < count)[0]
    inverse[index[moved]] = moved
    return inverse


def _windows_of(grid, window):
    """[H, W], multiples of ``window`` -> [number of windows, window * window]."""
    rows, columns = grid.shape[0] // window, grid.shape[1] // window
    return grid.reshape(rows, window, columns, window).transpose(0, 2, 1, 3).reshape(rows * columns, -1)


@lru_cache(maxsize=256)
def window_tables(height, width, window, shift, pad_first):
    """Tables from a token map to its windows and back.

    Args:
        shift: (rows, columns) by which the map is rolled up and to the left.
        pad_first: fill up to whole windows at the right and bottom before the shift, not after it.

    Returns:
        int32 [windows * window * window] of rows 0 .. height * width - 1, or height * width for padding; and
        int32 [height * width], its inverse.
    """
    tokens = np.arange(height * width, dtype=np.int32).reshape(height, width)
    margins = ((0, -height % window), (0, -width % window))
    back = (-shift[0], -shift[1])
    if pad_first:
        grid = np.roll(np.pad(tokens, margins, constant_values=height * width), back, (0, 1))
    else:
        grid = np.pad(np.roll(tokens, back, (0, 1)), margins, constant_values=height * width)
    index = _windows_of(grid, window).reshape(-1)
    return Tensor(index), Tensor(_inverse(index, height * width))


@lru_cache(maxsize=16)
def attention_mask(height, width, window, shift, heads):
    """Mask of shifted windows: tokens attend to each other only where they were neighbors before the shift.

    Returns:
        fp32 [number of windows * heads * window^4] of 0 and ``MASKED``, the same for each head; [1] if there is no
        shift.
    """
    if shift == (0, 0):
        return Tensor(np.zeros(1, np.float32))
    regions = [np.zeros(size + -size % window, np.float32) for size in (height, width)]
    for region, step in zip(regions, shift, strict=True):
        if step:
            region[-window:-step] = 1
            region[-step:] = 2
    region = _windows_of(3 * regions[0][:, None] + regions[1], window)
    apart = region[:, None, :, None] != region[:, None, None, :]
    mask = np.where(apart, np.float32(MASKED), np.float32(0))
    return Tensor(np.repeat(mask, heads, axis=1).reshape(-1))


@lru_cache(maxsize=16)
def relative_positions(window):
    """Row of the table of relative positions for each pair of tokens of a window, int32 [window^4]."""
    tokens = np.arange(window)
    offset = tokens[:, None] - tokens + window - 1
    pairs = offset[:, None, :, None] * (2 * window - 1) + offset[None, :, None, :]
    return Tensor(pairs.reshape(-1).astype(np.int32))


@lru_cache(maxsize=256)
def block_tables(height, width, size, pad, columns_first):
    """Tables from a token map to its ``size`` x ``size`` blocks, the tokens of a block in a row.

    Args:
        pad: fill up at the right and bottom; otherwise what does not fill a block is cut off.
        columns_first: order of the tokens within a block (down, then right) instead of row by row.

    Returns:
        int32 [blocks * size * size] and int32 [height * width], as in `window_tables`.
    """
    tokens = np.arange(height * width, dtype=np.int32).reshape(height, width)
    if pad:
        margins = ((0, -height % size), (0, -width % size))
        tokens = np.pad(tokens, margins, constant_values=height * width)
    else:
        tokens = tokens[: height // size * size, : width // size * size]
    blocks = _windows_of(tokens, size)
    if columns_first:
        blocks = blocks.reshape(-1, size, size).transpose(0, 2, 1)
    index = np.ascontiguousarray(blocks).reshape(-1)
    return Tensor(index), Tensor(_inverse(index, height * width))


# ``constexpr`` runs these while a graph is compiled and puts the result into it.
window_tables_of = ms.constexpr(window_tables)
attention_mask_of = ms.constexpr(attention_mask)
relative_positions_of = ms.constexpr(relative_positions)
block_tables_of = ms.constexpr(block_tables)


def _take(x, index):
    return ops.gather(x, index, 1)


def _take_or_zero(x, index):
    return ops.gather(ops.cat((x, ops.zeros((x.shape[0], 1, x.shape[2]), x.dtype)), 1), index, 1)


class _Permute(nn.Cell):
    """As many places as rows."""

    def construct(self, x, index, inverse):
        return _take(x, index)

    def bprop(self, x, index, inverse, out, dout):
        return _take(dout, inverse), ops.zeros_like(index), ops.zeros_like(inverse)


class _Pad(nn.Cell):
    """More places than rows."""

    def construct(self, x, index, inverse):
        return _take_or_zero(x, index)

    def bprop(self, x, index, inverse, out, dout):
        return _take(dout, inverse), ops.zeros_like(index), ops.zeros_like(inverse)


class _Crop(nn.Cell):
    """Fewer places than rows."""

    def construct(self, x, index, inverse):
        return _take(x, index)

    def bprop(self, x, index, inverse, out, dout):
        return _take_or_zero(dout, inverse), ops.zeros_like(index), ops.zeros_like(inverse)


class MoveRows(nn.Cell):
    """x [B, N, C], index [M] and its inverse [N] -> [B, M, C] with the rows x[index]; index N means zeros.

    Every row goes to one place at most, so the gradient is the move back, which is faster on the CPU.
    """

    def __init__(self):
        super().__init__()
        self.permute, self.pad, self.crop = _Permute(), _Pad(), _Crop()

    def construct(self, x, index, inverse):
        if not backend.products(x):
            return _take_or_zero(x, index) if index.shape[0] > x.shape[1] else _take(x, index)
        if index.shape[0] > x.shape[1]:
            return self.pad(x, index, inverse)
        if index.shape[0] < x.shape[1]:
            return self.crop(x, index, inverse)
        return self.permute(x, index, inverse)
