"""Softmax cross entropy per pixel, with ignored pixels, class weights and hard example mining."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.models.layers.log_likelihood import WeightedNLL, sum_pixels
from src.parallel import MeanOverWorkers


class CrossEntropy(nn.Cell):
    """Mean softmax cross entropy over the pixels that count.

    With class weights the mean is weighted as in PyTorch: sum(w * loss) / sum(w). With mining only hard pixels
    count: those whose true class has a probability below ``threshold``, and in any case the ``min_kept`` of the
    batch with the lowest (OHEM; Shrivastava et al., CVPR 2016, per pixel as in mmsegmentation's
    OHEMPixelSampler; the mean is over the pixels kept). If no pixel counts, value and gradient are 0. With several
    workers the mean of their losses is the loss of all pixels (mining is per worker).

    Args:
        ignore_index: label of the pixels that never count; every other label must be in 0..K-1.
        class_weights: K non-negative numbers, or None.
        ohem_threshold: probability below which a pixel is hard, or None for no mining.
        ohem_min_kept: least number of pixels that mining keeps.
    """

    def __init__(self, ignore_index=255, class_weights=None, ohem_threshold=None, ohem_min_kept=0):
        super().__init__()
        self.ignore_index = ignore_index
        self.class_weights = None if class_weights is None else Tensor(class_weights, ms.float32)
        self.ohem_threshold = ohem_threshold
        self.ohem_min_kept = ohem_min_kept
        self.mean_over_workers = MeanOverWorkers()
        self.nll = WeightedNLL()
        self.log_softmax = ops.LogSoftmax(axis=1)

    def construct(self, logits, label):
        """Logits [N, K, H, W], label int32 [N, H, W] -> fp32 scalar; computed in fp32."""
        batch, classes = logits.shape[:2]
        logits = logits.astype(ms.float32).reshape(batch, classes, -1)
        label = label.reshape(batch, 1, -1)
        valid = label != self.ignore_index
        label = ops.select(valid, label, ops.zeros_like(label))
        weight = valid.astype(ms.float32)
        if self.ohem_threshold is not None:
            weight = weight * self._hard(ops.stop_gradient(logits), label, valid)
        if self.class_weights is not None:
            weight = weight * ops.gather(self.class_weights, label, 0)
        loss = self.nll(logits, label, weight)
        total = self.mean_over_workers(sum_pixels(weight))
        return loss / ops.select(total > 0, total, ops.ones_like(total))

    def _hard(self, logits, label, valid):
        """1 where a pixel is kept by mining, else 0: [N, 1, P]."""
        p = ops.exp(ops.gather_elements(self.log_softmax(logits), 1, label))
        # Ignored pixels get 2, which puts them last in ascending order.
        p = ops.select(valid, p, ops.ones_like(p) * 2)
        kept = min(self.ohem_min_kept, p.size)
        limit = Tensor(self.ohem_threshold, ms.float32)
        if kept == 0:
            return (p < limit).astype(ms.float32)
        # Much faster than a full sort.
        hardest = -ops.topk(-p.reshape(-1), kept, sorted=False)[0]
        hardest = ops.select(hardest <= 1, hardest, ops.zeros_like(hardest)).max()
        return ops.logical_or(p < limit, p <= hardest).astype(ms.float32)
