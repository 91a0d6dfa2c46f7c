"""Sums, means, scaling and repetition of rows.

On the CPU these are matrix products, which are faster than reductions and than elementwise operators on arguments of
different shapes; those also keep memory for every element of their result as long as the graph lives.
"""

from mindspore import ops

from src.models.layers import backend


def outer(column, row):
    """Products of all pairs: [N, 1] and [1, C] -> [N, C]."""
    return ops.matmul(column, row) if backend.products_are_faster() else column * row


def sum_rows(x):
    """[N, C] -> [C]."""
    if backend.products(x):
        return ops.matmul(ops.ones((1, x.shape[0]), x.dtype), x).reshape(-1)
    return x.sum(0)


def scale_rows(x, factors):
    """Multiply each row: x [R, N], factors [R, 1] -> [R, N]."""
    factors = factors.astype(x.dtype)
    if backend.products(x):
        return x * outer(factors, ops.ones((1, x.shape[1]), x.dtype))
    return x * factors


def mean_of_rows(x):
    """[R, N] -> [R, 1]."""
    if backend.products(x):
        return ops.matmul(x, ops.fill(x.dtype, (x.shape[1], 1), 1.0 / x.shape[1]))
    return ops.mean(x, 1, True)
