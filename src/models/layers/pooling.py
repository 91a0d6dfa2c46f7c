"""Pooling: the max-pool of a ResNet's stem, and adaptive average pooling."""

from functools import lru_cache

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.models.layers.backend import is_static


class StemPool(nn.Cell):
    """Max-pool 3x3, stride 2, padding 1, of a non-negative map: [B, C, H, W] -> [B, C, H/2, W/2].

    Zeros replace the padding's minus infinity: equal for a non-negative map, and faster on the CPU
    (docs/performance.md).
    """

    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="valid")

    def construct(self, x):
        row = ops.zeros_like(x[:, :, :1])
        x = ops.cat((row, x, row), 2)
        column = ops.zeros_like(x[:, :, :, :1])
        return self.pool(ops.cat((column, x, column), 3))


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


@ms.constexpr
def _rows(length, side):
    return Tensor(pooling_matrix(length, (side,)))


@ms.constexpr
def _columns(length, side):
    return Tensor(np.ascontiguousarray(pooling_matrix(length, (side,)).T))


class AdaptivePool(nn.Cell):
    """Adaptive average pooling to ``side`` x ``side`` bins: [B, C, H, W] -> [B, C, side, side].

    With a static shape it is two products with constant matrices, which ONNX files can hold too.
    """

    def __init__(self, side):
        super().__init__()
        self.side = side
        self.standard = nn.AdaptiveAvgPool2d(side)

    def construct(self, x):
        if not is_static(x):
            return self.standard(x)
        batch, channels, height, width = x.shape
        y = ops.matmul(x.reshape(-1, width), _columns(width, self.side).astype(x.dtype))
        y = ops.matmul(_rows(height, self.side).astype(x.dtype), y.reshape(-1, height, self.side))
        return y.reshape(batch, channels, self.side, self.side)
