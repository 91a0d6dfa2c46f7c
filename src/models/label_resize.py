"""Labels at the size of a feature map."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops


@ms.constexpr
def _nearest(source, target):
    """Index of the pixel that holds each target pixel's centre, int32 [target]."""
    return Tensor(((2 * np.arange(target) + 1) * source // (2 * target)).astype(np.int32))


def resize_nearest(label, size):
    """Nearest neighbour with half-pixel centres, as ``layers.resize_bilinear`` places them, of static shapes.

    Args:
        label: [B, H, W], of any type.
        size: (h, w).

    Returns:
        [B, h, w]: the label at the centre of every target pixel (of two equally near ones, the later).
    """
    height, width = label.shape[1:]
    return ops.gather(ops.gather(label, _nearest(height, size[0]), 1), _nearest(width, size[1]), 2)
