"""Focal loss: cross entropy in which pixels that are predicted well count less.

Paper: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, in the form for a softmax, with a weight per
class for alpha. ECENet's mask loss is the form for sigmoids and another part.
"""

from mindspore import nn, ops

from src.losses.cross_entropy import CrossEntropy
from src.models.layers.log_likelihood import WeightedNLL, sum_pixels

LEAST = 1e-12  # 1 - p below this counts as this: its logarithm is finite


class FocalNLL(nn.Cell):
    """As `WeightedNLL`, for -(1 - p)^gamma log p, p the probability of the true class.

    Its gradient is that of the negative log-likelihood with other weights.
    """

    def __init__(self, gamma):
        super().__init__()
        self.gamma = gamma
        self.nll = WeightedNLL()
        self.log_softmax = ops.LogSoftmax(axis=1)

    def construct(self, logits, label, weight):
        picked = ops.gather_elements(self.log_softmax(ops.stop_gradient(logits)), 1, label)
        p = ops.exp(picked)
        linear = -p * picked  # 1 - p is never smaller, and close to 1 it rounds to 0
        q = ops.maximum(ops.maximum(1.0 - p, linear), LEAST)
        factor = ops.pow(q, self.gamma)
        loss = -sum_pixels(picked * factor * weight)
        slope = factor * (1.0 + self.gamma * linear / q)
        nll = self.nll(logits, label, weight * slope)
        return nll + ops.stop_gradient(loss - nll)


class Focal(CrossEntropy):
    """Mean of -(1 - p)^gamma log p over the pixels that count, weighted by class as in `CrossEntropy`.

    With gamma 0 it is the cross entropy. With several workers the mean of their losses is the loss of all pixels.

    Args:
        ignore_index: label of the pixels that never count.
        class_weights: K non-negative numbers, or None.
        gamma: at least 0; the larger, the less pixels count that are predicted well.
    """

    def __init__(self, ignore_index=255, class_weights=None, gamma=2.0):
        super().__init__(ignore_index, class_weights)
        self.nll = FocalNLL(gamma)
