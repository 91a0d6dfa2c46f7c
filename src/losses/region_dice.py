"""Soft Dice loss of the classes' regions.

Paper: Milletari et al., "V-Net", 3DV 2016; for several classes Sudre et al., DLMIA 2017. From the papers: twice the
overlap over the sum of both regions, with probabilities for the prediction; here without squares, as usual since.
The field differs on classes that no pixel shows; they do not count here, as in the Lovász-softmax. (Their own dice is 0
whatever is predicted, and segmentation_models.pytorch, which drops them as well, still divides by all K.)
"""

import mindspore as ms
from mindspore import nn, ops

from src.losses.probabilities import Regions
from src.parallel import SumOverWorkers


class RegionDice(nn.Cell):
    """Mean over the classes present of 1 - 2 Σ p y / (Σ p + Σ y).

    p is the softmax, y is 1 where the class is, and the sums go over the labeled pixels of the whole batch, over all
    workers. In [0, 1]; without any labeled pixel value and gradient are 0.

    Args:
        num_classes: K.
        ignore_index: label of the pixels that do not count.
    """

    def __init__(self, num_classes, ignore_index=255):
        super().__init__()
        self.regions = Regions(num_classes, ignore_index)
        self.product = ops.BatchMatMul()
        self.sum_over_workers = SumOverWorkers()

    def construct(self, logits, label):
        """Logits [N, K, H, W], label int32 [N, H, W] -> fp32 scalar; computed in fp32."""
        p, target, valid = self.regions(logits, label)
        valid = valid.expand_dims(2)
        sums = ops.cat([self.product(one, valid) for one in (p * target, p, target)], 2)  # [N, K, 3]
        overlap, predicted, labeled = ops.unstack(self.sum_over_workers(sums.sum(0)), 1)
        present = (labeled > 0).astype(ms.float32)
        dice = 2.0 * overlap / (predicted + labeled + (1.0 - present))
        return (present * (1.0 - dice)).sum() / ops.maximum(present.sum(), 1.0)
