"""Labels at the size of a feature map."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops


def nearest(source: int, target: int) -> np.ndarray:
    """For each of ``target`` rows the one of ``source`` that it takes, int32: row i takes floor(i source / target).

    In whole numbers; PyTorch's ``nearest`` but for its rounding.
    """
    return (np.arange(target) * source // target).astype(np.int32)


@ms.constexpr
def _nearest(source, target):
    return Tensor(nearest(source, target))


def resize_nearest(label, size):
    """Label int32 [B, H, W] -> [B, h, w] for ``size`` = (h, w) as `nearest` says; the shapes known when compiled."""
    rows = ops.gather(label, _nearest(label.shape[1], size[0]), 1)
    return ops.gather(rows, _nearest(label.shape[2], size[1]), 2)
