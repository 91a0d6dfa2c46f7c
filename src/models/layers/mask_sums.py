"""Sums over the pixels of class masks, of which the focal and the dice loss are made."""

from mindspore import nn, ops

from src.models.layers import backend


class _MaskSums(nn.Cell):
    """`MaskSums` with a hand-written gradient."""

    def __init__(self, alpha):
        super().__init__()
        self.alpha = alpha
        self.product = ops.BatchMatMul()
        self.relu = ops.ReLU()

    def terms(self, logits, target):
        """Sign of the target, probability q of being wrong, -log(1 - q) and focal factor, each [B, K, P]."""
        sign = target * 2.0 - 1.0
        z = logits * sign
        q = ops.sigmoid(-z)
        loss = self.relu(-z) + ops.log(ops.exp(-ops.abs(z)) + 1.0)
        return sign, q, loss, target * (2.0 * self.alpha - 1.0) + (1.0 - self.alpha)

    def sums(self, logits, target, valid):
        """As `MaskSums.construct`."""
        batch, classes, _ = logits.shape
        _, q, loss, factor = self.terms(logits, target)
        focal = self.product(factor * q * q * loss, valid)
        p = ops.sigmoid(logits)
        total = self.product(p, valid)
        overlap = self.product(p * target, valid)
        return focal.reshape(batch, classes), total.reshape(batch, classes), overlap.reshape(batch, classes)

    def construct(self, logits, target, valid):
        return self.sums(logits, target, valid)

    def bprop(self, logits, target, valid, out, dout):
        logits = ops.depend(logits, dout[0])
        batch, classes, pixels = logits.shape
        sign, q, loss, factor = self.terms(logits, target)
        row = valid.reshape(batch, 1, pixels)
        dfocal, dtotal, doverlap = [self.product(one.reshape(batch, classes, 1), row) for one in dout]
        slope = q * (1.0 - q)
        dx = slope * (dtotal + target * doverlap) - sign * factor * q * (slope * loss * 2.0 + q * q) * dfocal
        return dx, ops.zeros_like(target), ops.zeros_like(valid)


class MaskSums(nn.Cell):
    """Sums over the pixels of each mask.

    Args:
        alpha: share of the positive pixels in the focal loss.
    """

    def __init__(self, alpha):
        super().__init__()
        self.fast = _MaskSums(alpha)

    def construct(self, logits, target, valid):
        """Logits and 0/1 targets [B, K, P], 0/1 valid [B, P, 1] -> [B, K] each: focal, p, p * target."""
        if backend.products(logits):
            return self.fast(logits, target, valid)
        return self.fast.sums(logits, target, valid)
