"""Labels at the size of a feature map."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

# A share of whole pixels is compared in fp32; this much of a pixel covers its rounding.
_SLACK = 1e-3


def cells(source: int, target: int) -> np.ndarray:
    """Cell of each of ``source`` pixels along an axis of ``target`` cells, int32: the one its center lies in."""
    return ((2 * np.arange(source) + 1) * target // (2 * source)).astype(np.int32)


@ms.constexpr
def _cells(batch, height, width, rows, columns):
    """Cell of each pixel of a batch, counted through all images: int32 [B, H, W]."""
    place = cells(height, rows)[:, None] * columns + cells(width, columns)
    return Tensor((np.arange(batch)[:, None, None] * rows * columns + place).astype(np.int32))


def majority_label(label, size, num_classes, ignore_index, purity):
    """The class of each cell of a map, where it has one.

    The pixels of a cell are those whose centers lie in it (half-pixel centers), so each belongs to exactly one, whether
    or not the sizes divide. A cell has its most frequent class, the first of equals, if that covers at least ``purity``
    of its labeled pixels; else, and if none is labeled, it is ignored.

    Pixels are counted by one sum over segments (cell, class). It takes memory for H W numbers and for h w K of them per
    image; the one-hot label at full size, H W K, is never formed. Static shapes only.

    Args:
        label: int32 [B, H, W], 0..K-1 or ``ignore_index``.
        size: (h, w) of the map.
        num_classes: K.
        purity: in 0..1; with 0 every cell with a labeled pixel has a class.

    Returns:
        int32 [B, h, w], 0..K-1 or ``ignore_index``.
    """
    batch, height, width = label.shape
    count = batch * size[0] * size[1]
    valid = label != ignore_index
    segments = _cells(batch, height, width, *size) * num_classes + ops.select(valid, label, ops.zeros_like(label))
    pixels = ops.unsorted_segment_sum(
        valid.astype(ms.float32).reshape(-1), segments.reshape(-1), count * num_classes
    ).reshape(count, num_classes)
    found, most = ops.ArgMaxWithValue(1)(pixels)
    found = found.astype(ms.int32)
    pure = ops.logical_and(most > 0, most + _SLACK >= purity * pixels.sum(1))
    return ops.select(pure, found, ops.full_like(found, ignore_index)).reshape(batch, *size)
