"""Sums, means, scaling and repetition of rows as matrix products, which are fast on MindSpore's CPU back end."""

from mindspore import ops

from src.models.layers.backend import is_static


def outer(column, row):
    """Repeat a column or a row: [N, 1] and [1, C] -> [N, C].

    On the CPU an elementwise operator on arguments of different shapes keeps memory for every element of its result
    as long as the graph lives, and is slower than this product followed by an operator on equal shapes.
    """
    return ops.matmul(column, row)


def sum_rows(x):
    """[N, C] -> [C]. A product with a row of ones is faster on the CPU than a sum over the first axis."""
    return ops.matmul(ops.ones((1, x.shape[0]), x.dtype), x).reshape(-1)


def scale_rows(x, factors):
    """Multiply each row: x [R, N], factors [R, 1] -> [R, N]."""
    factors = factors.astype(x.dtype)
    if is_static(x):
        return x * outer(factors, ops.ones((1, x.shape[1]), x.dtype))
    return x * factors


def mean_of_rows(x):
    """[R, N] -> [R, 1]. A product with a column is faster on the CPU than the mean over an axis."""
    if is_static(x):
        return ops.matmul(x, ops.fill(x.dtype, (x.shape[1], 1), 1.0 / x.shape[1]))
    return ops.mean(x, 1, True)
