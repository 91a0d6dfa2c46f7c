"""Lovász-softmax: a surrogate of the intersection over union.

Paper: Berman et al., "The Lovász-Softmax Loss", CVPR 2018. From the paper: the formula, the mean over the classes
present, and the choice between batch and image. Ours: the weights are computed from counts, not as differences of
Jaccard losses, which cancel in fp32.
"""

import mindspore as ms
from mindspore import nn, ops

from src.losses.probabilities import Regions
from src.parallel import MeanOverWorkers, world_size


class Lovasz(nn.Cell):
    """Mean over the classes present of Σ e_i w_i, e_i the errors of a class, sorted, the largest first.

    The error of a pixel is 1 - p where the class is and p elsewhere. w_i is by how much the Jaccard loss rises when
    the i-th pixel is predicted wrong as well: 1 / u_i where the class is, n_i / (u_i (u_i - 1)) elsewhere, with n_i
    pixels left in the intersection and u_i in the union. Ignored pixels have no weight. In [0, 1]; without any
    labeled pixel value and gradient are 0. A class's sort takes most of the time; it may have up to 2^24 pixels.

    With scope ``batch`` and several workers each takes the classes and pixels of its own share, and the losses are
    averaged, which is not quite the loss of the whole batch; with ``image`` it is.

    Args:
        num_classes: K.
        ignore_index: label of the pixels that do not count.
        scope: ``batch``, or ``image`` for the mean over the images that show a class.
    """

    def __init__(self, num_classes, ignore_index=255, scope="batch"):
        super().__init__()
        self.num_classes = num_classes
        self.whole_batch = scope == "batch"
        self.regions = Regions(num_classes, ignore_index)
        self.product = ops.BatchMatMul()
        self.sort = ops.TopK(sorted=True)  # of all: on the CPU faster than ops.Sort
        self.cumulate = ops.CumSum()
        self.relu = ops.ReLU()
        self.mean_over_workers = MeanOverWorkers()
        self.least_images = 1 / world_size()

    def construct(self, logits, label):
        """Logits [N, K, H, W], label int32 [N, H, W] -> fp32 scalar; computed in fp32."""
        p, target, valid = self.regions(logits, label)
        column = ops.ones((p.shape[0], self.num_classes, 1), ms.float32)
        kind = 2.0 * target - self.product(column, valid.expand_dims(1))  # 1: of the class, -1: not, 0: ignored
        errors = target - kind * p
        if self.whole_batch:
            errors, kind = errors.transpose(1, 0, 2), kind.transpose(1, 0, 2)
        pixels = errors.size // self.num_classes if self.whole_batch else p.shape[2]
        errors, kind = errors.reshape(-1, pixels), kind.reshape(-1, pixels)  # a row per class, or per image and class
        weights, area = self.weights(ops.stop_gradient(errors), kind)
        losses = self.product(errors.expand_dims(1), weights.expand_dims(2)).reshape(-1, self.num_classes)
        present = (area > 0).astype(ms.float32).reshape(-1, self.num_classes)
        classes = present.sum(1)
        means = (losses * present).sum(1) / ops.maximum(classes, 1.0)
        if self.whole_batch:
            return means.sum()
        images = self.mean_over_workers((classes > 0).astype(ms.float32).sum())
        return means.sum() / ops.maximum(images, self.least_images)

    def weights(self, errors, kind):
        """Errors and kinds [R, M] -> the weight of every error [R, M], and pixels of the class [R, 1]."""
        _, order = self.sort(errors, errors.shape[1])
        kind = ops.gather_elements(kind, 1, order)
        hit, miss = self.relu(kind), self.relu(-kind)
        area = hit.sum(1, keepdims=True)
        left = area - self.cumulate(hit, 1)
        union = ops.maximum(area + self.cumulate(miss, 1), 1.0)
        weights = hit / union + miss * left / (union * ops.maximum(union - 1.0, 1.0))
        return ops.tensor_scatter_elements(ops.zeros_like(errors), order, weights, 1), area
