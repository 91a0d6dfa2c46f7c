"""Labels at the size of a feature map."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops


@ms.constexpr
def _nearest(source, target):
    return Tensor((np.arange(target) * source // target).astype(np.int32))


def resize_nearest(label, size):
    """Label int32 [B, H, W] -> [B, h, w] for ``size`` = (h, w), the shapes known at compile time.

    Row i takes row floor(i H / h), in whole numbers, and columns alike: PyTorch's ``nearest``.
    """
    rows = ops.gather(label, _nearest(label.shape[1], size[0]), 1)
    return ops.gather(rows, _nearest(label.shape[2], size[1]), 2)
