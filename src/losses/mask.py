"""Focal and dice loss of class masks, each bound to its class.

[release] The two losses and their weights, 5 and 2, are from ECENet's release. [code] The formulas are those of the
public implementation of CPT's line of work, whose loss has the same name and arguments; it follows SegViT.
"""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.models.layers.mask_sums import MaskSums
from src.models.layers.resize import resize_bilinear
from src.parallel import SumOverWorkers, world_size


class MaskLoss(nn.Cell):
    """Focal loss (alpha 0.25, gamma 2) and dice loss of one mask per class; masks of absent classes do not count.

    Mask t belongs to class t; there is no matching. For each image and each class that its label shows, the target is
    where the class is. focal: mean over the counted pixels; dice: 1 - (2 Σ p y + 1) / (Σ p + Σ y + 1). Both are summed
    over these pairs and divided by their number, over all workers (at least 1).

    Args:
        num_classes: K.
        ignore_index: label of the pixels without a class.
        ignore_as_negative: count those pixels as "not this class"; otherwise they do not count.
    """

    def __init__(self, num_classes, ignore_index=255, ignore_as_negative=True, alpha=0.25):
        super().__init__()
        self.ignore_index, self.ignore_as_negative = ignore_index, ignore_as_negative
        self.one_hot = ops.OneHot(axis=1)
        self.on, self.off = Tensor(1.0, ms.float32), Tensor(0.0, ms.float32)
        self.num_classes = num_classes
        self.sums = MaskSums(alpha)
        self.product = ops.BatchMatMul()
        self.sum_over_workers = SumOverWorkers()
        self.world_size = world_size()

    def at_the_labels_size(self, masks, label):
        """The masks, or the sum of several, [B, K, H, W] fp32."""
        if not isinstance(masks, (tuple, list)):
            masks = (masks,)
        total = 0
        for one in masks:
            total = total + resize_bilinear(one.astype(ms.float32), label.shape[1:])
        return total

    def construct(self, masks, label):
        """Raw masks [B, K, h, w] or a tuple of such, label int32 [B, H, W] -> focal and dice, two fp32 scalars.

        Of a tuple the sum counts, each resized to the label first. Of a tuple of tuples each sum counts, and their
        losses add up.
        """
        batch, pixels = label.shape[0], label.shape[1] * label.shape[2]
        flat = label.reshape(batch, pixels)
        target = self.one_hot(flat, self.num_classes, self.on, self.off)  # ignored: no class
        counted = (flat != self.ignore_index).astype(ms.float32).reshape(batch, pixels, 1)
        valid = ops.ones_like(counted) if self.ignore_as_negative else counted
        area = self.product(target, counted).reshape(batch, self.num_classes)
        pixels_counted = ops.maximum(ops.sum(valid.reshape(batch, pixels), 1, True), self.on)
        present = (area > 0).astype(ms.float32)
        pairs = ops.maximum(self.sum_over_workers(ops.sum(present)), self.on) / self.world_size
        several = isinstance(masks, (tuple, list)) and isinstance(masks[0], (tuple, list))
        focal_total, dice_total = 0.0, 0.0
        for one in masks if several else (masks,):
            logits = self.at_the_labels_size(one, label).reshape(batch, self.num_classes, pixels)
            focal, p, overlap = self.sums(logits, target, valid)
            dice = 1.0 - (2.0 * overlap + 1.0) / (p + area + 1.0)
            focal_total = focal_total + ops.sum(present * focal / pixels_counted) / pairs
            dice_total = dice_total + ops.sum(present * dice) / pairs
        return focal_total, dice_total
