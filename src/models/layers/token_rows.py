"""Rearrangements of a token map as gathers of whole rows, with tables built once per size.

Shifting, padding, cutting into windows, merging patches and their inverses only move tokens. Each is one gather with
an index table, and its gradient is the gather with the inverse table; on the CPU this is faster than concatenations and
transpositions (docs/performance.md). The tables depend on the size only. They are constants of the compiled graph and
are cached for the next compilation, so no training step builds one.

To run images of many sizes through few graphs, an image may also lie in the top left corner of a larger canvas. The
tables of its own size, in the numbering of the canvas's tokens, are then inputs of the graph (src/inference/canvas.py).
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


def window_indices(height, width, window, shift, pad_first, canvas=None):
    """Tables from a token map to its windows and back.

    Args:
        canvas: (rows, columns) of the larger map in whose corner the map lies; None for the map itself.
        shift: (rows, columns) by which the map is rolled up and to the left.
        pad_first: fill up to whole windows at the right and bottom before the shift, not after it.

    Returns:
        int32 [windows * window * window] of rows 0 .. height * width - 1, or height * width for padding; and
        int32 [height * width], its inverse. With a canvas both count its windows and its tokens.
    """
    rows, columns = canvas or (height, width)
    nothing = rows * columns
    tokens = np.arange(nothing, dtype=np.int32).reshape(rows, columns)[:height, :width]
    margins = ((0, -height % window), (0, -width % window))
    back = (-shift[0], -shift[1])
    if pad_first:
        grid = np.roll(np.pad(tokens, margins, constant_values=nothing), back, (0, 1))
    else:
        grid = np.pad(np.roll(tokens, back, (0, 1)), margins, constant_values=nothing)
    index = _windows_of(grid, window).reshape(-1)
    missing = windows_in(rows, columns, window) * window**2 - len(index)
    index = np.pad(index, (0, missing), constant_values=nothing)
    return index, _inverse(index, nothing)


def windows_in(height, width, window):
    """Number of windows that a map is cut into."""
    return -(-height // window) * -(-width // window)


def shift_mask(height, width, window, shift, heads):
    """Mask of shifted windows: tokens attend to each other only where they were neighbors before the shift.

    Returns:
        fp32 [number of windows * heads * window^4] of 0 and ``MASKED``, the same for each head.
    """
    regions = [np.zeros(size + -size % window, np.float32) for size in (height, width)]
    for region, step in zip(regions, shift, strict=True):
        if step:
            region[-window:-step] = 1
            region[-step:] = 2
    region = _windows_of(3 * regions[0][:, None] + regions[1], window)
    apart = region[:, None, :, None] != region[:, None, None, :]
    mask = np.where(apart, np.float32(MASKED), np.float32(0))
    return np.repeat(mask, heads, axis=1).reshape(-1)


@lru_cache(maxsize=16)
def relative_positions(window):
    """Row of the table of relative positions for each pair of tokens of a window, int32 [window^4]."""
    tokens = np.arange(window)
    offset = tokens[:, None] - tokens + window - 1
    pairs = offset[:, None, :, None] * (2 * window - 1) + offset[None, :, None, :]
    return Tensor(pairs.reshape(-1).astype(np.int32))


def block_indices(height, width, size, pad, columns_first, canvas=None):
    """Tables from a token map to its ``size`` x ``size`` blocks, the tokens of a block in a row.

    Args:
        canvas: (rows, columns) of the larger map in whose corner the map lies; None for the map itself.
        pad: fill up at the right and bottom; otherwise what does not fill a block is cut off.
        columns_first: order of the tokens within a block (down, then right) instead of row by row.

    Returns:
        int32 [blocks * size * size] and int32 [height * width], as in `window_indices`.
    """
    rows, columns = canvas or (height, width)
    tokens = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    tokens[height:], tokens[:, width:] = rows * columns, rows * columns
    if pad:
        tokens = np.pad(tokens, ((0, -rows % size), (0, -columns % size)), constant_values=rows * columns)
    else:
        tokens = tokens[: rows // size * size, : columns // size * size]
    blocks = _windows_of(tokens, size)
    if columns_first:
        blocks = blocks.reshape(-1, size, size).transpose(0, 2, 1)
    index = np.ascontiguousarray(blocks).reshape(-1)
    return index, _inverse(index, rows * columns)


@lru_cache(maxsize=256)
def window_tables(*arguments):
    """`window_indices` as tensors."""
    index, inverse = window_indices(*arguments)
    return Tensor(index), Tensor(inverse)


@lru_cache(maxsize=16)
def attention_mask(height, width, window, shift, heads):
    """`shift_mask` as a tensor; [1] if there is no shift."""
    if shift == (0, 0):
        return Tensor(np.zeros(1, np.float32))
    return Tensor(shift_mask(height, width, window, shift, heads))


@lru_cache(maxsize=256)
def block_tables(*arguments):
    """`block_indices` as tensors."""
    index, inverse = block_indices(*arguments)
    return Tensor(index), Tensor(inverse)


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

    Every row goes to one place at most, so the gradient is the move back, which is faster on the CPU. ``holes``: there
    may be as many places as rows and still places for zeros, or fewer; so it is on a canvas.
    """

    def __init__(self):
        super().__init__()
        self.permute, self.pad, self.crop = _Permute(), _Pad(), _Crop()

    def construct(self, x, index, inverse, holes=False):
        if holes:
            return _take_or_zero(x, index)
        if not backend.products(x):
            return _take_or_zero(x, index) if index.shape[0] > x.shape[1] else _take(x, index)
        if index.shape[0] > x.shape[1]:
            return self.pad(x, index, inverse)
        if index.shape[0] < x.shape[1]:
            return self.crop(x, index, inverse)
        return self.permute(x, index, inverse)
