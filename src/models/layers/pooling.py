"""Pooling: the max-pool of a ResNet's stem, and adaptive average pooling."""

from functools import lru_cache

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.models.layers import backend
from src.native.max_pool import MaxPool


class StemPool(nn.Cell):
    """Max-pool 3x3, stride 2, padding 1: [B, C, H, W] -> [B, C, ceil(H / 2), ceil(W / 2)]."""

    def __init__(self):
        super().__init__()
        self.standard = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="pad", padding=1)
        self.native = MaxPool() if backend.has_native() else None

    def construct(self, x):
        if self.native is not None and backend.native(x):
            return self.native(x)
        return self.standard(x)


@lru_cache(maxsize=64)
def pooling_matrix(length, sides):
    """Averaging matrices of an axis, one below the other: [sum(sides), length].

    Bin r of s covers ⌊r n / s⌋ .. ⌈(r + 1) n / s⌉ - 1, as in adaptive average pooling; also where s > n.
    """
    rows = []
    for side in sides:
        for r in range(side):
            row = np.zeros(length, np.float32)
            first, last = r * length // side, -(-(r + 1) * length // side)
            row[first:last] = 1 / (last - first)
            rows.append(row)
    return np.stack(rows)


def selection_matrix(sides):
    """Picks the grids out of the pools of all rows by all columns: [sum(sides)^2, sum of sides^2] of 0 and 1."""
    total, columns, start = sum(sides), [], 0
    for side in sides:
        for row in range(side):
            columns += [(start + row) * total + start + column for column in range(side)]
        start += side
    matrix = np.zeros((total * total, len(columns)), np.float32)
    matrix[columns, np.arange(len(columns))] = 1
    return matrix


@ms.constexpr
def _rows(length, sides):
    return Tensor(pooling_matrix(length, sides))


@ms.constexpr
def _columns(length, sides):
    return Tensor(np.ascontiguousarray(pooling_matrix(length, sides).T))


class AdaptivePools(nn.Cell):
    """Adaptive average pooling to square grids of all these sides: [B, C, H, W] -> [B, C, sum of sides^2].

    On the CPU it is two products with constant matrices, all grids at once, and one that picks the grids out; ONNX
    files can hold these too.
    """

    def __init__(self, sides):
        super().__init__()
        self.sides = tuple(sides)
        self.standard = [nn.AdaptiveAvgPool2d(side) for side in sides]
        self.select = Tensor(selection_matrix(sides))

    def construct(self, x):
        batch, channels = ops.shape(x)[:2]
        if not backend.products(x):
            grids = []
            for pool in self.standard:
                grids.append(pool(x).reshape(batch, channels, -1))
            return ops.cat(grids, 2)
        height, width = x.shape[2:]
        y = ops.matmul(x.reshape(-1, width), _columns(width, self.sides).astype(x.dtype))
        y = ops.matmul(_rows(height, self.sides).astype(x.dtype), y.reshape(-1, height, y.shape[1]))
        y = ops.matmul(y.reshape(batch * channels, -1), self.select.astype(x.dtype))
        return y.reshape(batch, channels, -1)
