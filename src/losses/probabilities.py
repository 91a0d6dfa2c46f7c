"""Class probabilities and 0/1 targets, for losses that compare regions."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.models.layers.class_softmax import ClassSoftmax


class Regions(nn.Cell):
    """What a prediction and its label say about every class and pixel.

    Args:
        num_classes: K.
        ignore_index: label of the pixels that do not count; every other label must be in 0..K-1.
    """

    def __init__(self, num_classes, ignore_index=255):
        super().__init__()
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.softmax = ClassSoftmax()
        self.one_hot = ops.OneHot(axis=1)
        self.on, self.off = Tensor(1.0, ms.float32), Tensor(0.0, ms.float32)

    def construct(self, logits, label):
        """Logits [N, K, H, W], label int32 [N, H, W] -> fp32 probabilities and 0/1 targets [N, K, P], 0/1 valid [N, P].

        Ignored pixels have no target.
        """
        batch = label.shape[0]
        p = self.softmax(logits.astype(ms.float32).reshape(batch, self.num_classes, -1))
        label = label.reshape(batch, -1)
        target = self.one_hot(label, self.num_classes, self.on, self.off)
        return p, target, (label != self.ignore_index).astype(ms.float32)
