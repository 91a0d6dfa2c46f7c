"""Reshape a source's array to our parameter's shape, where that does not change its meaning."""

import math

import numpy as np

TABLE = "relative_position_bias_table"
_A = -0.75  # of the cubic convolution kernel, as in PyTorch's bicubic interpolation


def fit(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return ``values`` in ``shape``, or None if the two do not mean the same.

    Axes of length one may come and go (a 1x1 convolution [out, in, 1, 1] as a linear layer [out, in]). A table of
    relative positions [(2w - 1)^2, heads] of another window is interpolated.
    """
    shape = tuple(shape)
    if values.shape == shape:
        return values
    if [size for size in values.shape if size != 1] == [size for size in shape if size != 1]:
        return values.reshape(shape)
    if name.endswith(TABLE) and values.ndim == len(shape) == 2 and values.shape[1] == shape[1]:
        sides = math.isqrt(len(values)), math.isqrt(shape[0])
        if sides[0] ** 2 == len(values) and sides[1] ** 2 == shape[0]:
            return resize_table(values, sides[1])
    return None


def resize_table(table: np.ndarray, side: int) -> np.ndarray:
    """Interpolate a table of relative positions [n * n, heads] to [side * side, heads], bicubic as in Swin's code.

    Half-pixel centers, no antialiasing, clamped borders: equal to PyTorch's ``interpolate(mode="bicubic")``.
    """
    old = math.isqrt(len(table))
    matrix = _bicubic(old, side)
    grid = table.astype(np.float64).reshape(old, old, -1)
    grid = np.einsum("yi,xj,ijh->yxh", matrix, matrix, grid, optimize=True)
    return grid.reshape(side * side, -1).astype(np.float32)


def _bicubic(source: int, target: int) -> np.ndarray:
    """Matrix [target, source] of bicubic interpolation along one axis."""
    position = (np.arange(target) + 0.5) * source / target - 0.5
    left = np.floor(position).astype(np.int64)
    matrix = np.zeros((target, source))
    for step in (-1, 0, 1, 2):
        index = np.clip(left + step, 0, source - 1)
        np.add.at(matrix, (np.arange(target), index), _kernel(np.abs(position - left - step)))
    return matrix


def _kernel(distance: np.ndarray) -> np.ndarray:
    """Cubic convolution (Keys, 1981) at distances of 0 to 2."""
    near = ((_A + 2) * distance - (_A + 3)) * distance**2 + 1
    far = ((_A * distance - 5 * _A) * distance + 8 * _A) * distance - 4 * _A
    return np.where(distance <= 1, near, far)
