"""Softmax cross entropy by the native kernel, fp32, with its gradient."""

from mindspore import nn, ops

from src.native import library


class CrossEntropy(nn.Cell):
    """Logits [N, K, P], label int32 [N, 1, P] of 0..K-1, weight [N, 1, P] -> sum of weight * -log p(label), [1].

    The gradient of the logits is computed with the loss; there is none of the weight.
    """

    def __init__(self):
        super().__init__()
        self.forward = library.operator(
            "CrossEntropy", lambda logits, *_: ([1], logits), lambda logits, *_: (logits, logits)
        )

    def construct(self, logits, label, weight):
        return self.forward(logits, label, weight)

    def bprop(self, logits, label, weight, out, dout):
        return out[1] * dout[0], ops.zeros_like(label), ops.zeros_like(weight)
