"""Softmax over the classes of each pixel."""

from mindspore import nn, ops

from src.models.layers import backend


class _ClassSoftmax(nn.Cell):
    """`ClassSoftmax` with a hand-written gradient."""

    def __init__(self):
        super().__init__()
        self.softmax = ops.Softmax(axis=1)
        self.product = ops.BatchMatMul()

    def construct(self, logits):
        return self.softmax(logits)

    def bprop(self, logits, out, dout):
        batch, classes, _ = logits.shape
        row, column = ops.ones((batch, 1, classes), logits.dtype), ops.ones((batch, classes, 1), logits.dtype)
        # Sums and broadcasts over the classes are faster as products.
        mean = self.product(column, self.product(row, out * dout))
        return (out * (dout - mean),)


class ClassSoftmax(nn.Cell):
    """Softmax over the classes of [N, K, P]."""

    def __init__(self):
        super().__init__()
        self.fast, self.standard = _ClassSoftmax(), ops.Softmax(axis=1)

    def construct(self, logits):
        return self.fast(logits) if backend.products(logits) else self.standard(logits)
