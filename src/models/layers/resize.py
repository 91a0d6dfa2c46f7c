"""Bilinear resizing of maps."""

from functools import lru_cache

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from mindspore.ops import functional as F

from src.models.layers import backend

# Sources up to this many pixels are resized by one product with the Kronecker matrix.
_KRONECKER_PIXELS = 64


@lru_cache(maxsize=256)
def interpolation_matrix(source: int, target: int) -> np.ndarray:
    """Matrix [target, source] of linear interpolation with half-pixel centers and clamped borders."""
    position = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    left = np.floor(position).astype(np.int64)
    right = np.minimum(left + 1, source - 1)
    share = position - left
    matrix = np.zeros((target, source))
    np.add.at(matrix, (np.arange(target), left), 1 - share)
    np.add.at(matrix, (np.arange(target), right), share)
    return matrix.astype(np.float32)


@ms.constexpr
def _matrix(source, target):
    return Tensor(interpolation_matrix(source, target))


@ms.constexpr
def _matrix_transposed(source, target):
    return Tensor(np.ascontiguousarray(interpolation_matrix(source, target).T))


@ms.constexpr
def _kronecker(height, width, new_height, new_width):
    rows, columns = interpolation_matrix(height, new_height), interpolation_matrix(width, new_width)
    return Tensor(np.ascontiguousarray(np.kron(rows, columns).T))


def resize_bilinear(x, size):
    """Bilinear resize with half-pixel centers (align_corners False, no antialiasing).

    On the CPU, with a shape known at compile time, this is a product with constant matrices, whose gradient is much
    faster (docs/performance.md).

    Args:
        x: [B, C, h, w].
        size: (H, W).

    Returns:
        [B, C, H, W] in the type of ``x``.
    """
    static = backend.is_static(x) and not F.is_sequence_value_unknown(size)
    if not static or not backend.products_are_faster():
        return ops.ResizeBilinearV2(half_pixel_centers=True)(x, size)
    batch, channels, height, width = x.shape
    new_height, new_width = size
    if (height, width) == (new_height, new_width):
        return x
    if height * width <= _KRONECKER_PIXELS:
        matrix = _kronecker(height, width, new_height, new_width).astype(x.dtype)
        return ops.matmul(x.reshape(-1, height * width), matrix).reshape(batch, channels, new_height, new_width)
    x = ops.matmul(x.reshape(-1, width), _matrix_transposed(width, new_width).astype(x.dtype))
    x = ops.matmul(_matrix(height, new_height).astype(x.dtype), x.reshape(batch * channels, height, new_width))
    return x.reshape(batch, channels, new_height, new_width)
