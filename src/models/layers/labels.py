"""Labels at the size of a feature map."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops


def source_rows(source: int, target: int) -> np.ndarray:
    """Source row of each of ``target`` rows, int32: row i takes row floor(i source / target).

    Computed in integers; PyTorch's ``nearest`` without its floating-point rounding.
    """
    return (np.arange(target) * source // target).astype(np.int32)


@ms.constexpr
def _source_rows(source, target):
    return Tensor(source_rows(source, target))


def resize_nearest(label, size):
    """Label int32 [B, H, W] -> [B, h, w] for ``size`` = (h, w), by `source_rows`; static shapes only."""
    rows = ops.gather(label, _source_rows(label.shape[1], size[0]), 1)
    return ops.gather(rows, _source_rows(label.shape[2], size[1]), 2)
