"""Losses of one of a decoder's outputs."""

import mindspore as ms
from mindspore import nn, ops

from src.models.layers.resize import resize_bilinear


class LogitsLoss(nn.Cell):
    """A loss of one of the outputs, logits of any size.

    Args:
        index: place among the decoder's outputs.
        loss: cell from logits and label of one size to a scalar.
    """

    def __init__(self, index, loss):
        super().__init__()
        self.index = index
        self.loss = loss

    def construct(self, outputs, label):
        """Tuple with [B, K, h, w] at ``index``, label [B, H, W] -> a tuple of one scalar."""
        logits = outputs[self.index].astype(ms.float32)
        return (self.loss(resize_bilinear(logits, ops.shape(label)[1:]), label),)


class MapLoss(nn.Cell):
    """A loss of one of the outputs.

    Args:
        index: place of the map among the decoder's outputs.
        loss: cell from map and label to a tuple of values.
    """

    def __init__(self, index, loss):
        super().__init__()
        self.index = index
        self.loss = loss

    def construct(self, outputs, label):
        """Tuple with [B, C, h, w] at ``index``, label [B, H, W] -> what ``loss`` returns."""
        return self.loss(outputs[self.index], label)
