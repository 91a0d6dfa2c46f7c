"""CPT's category prototypes and their memory over the data set. Standing: as in ``cpt``.

Shares, prototypes and memory are fp32 whatever the type of the features: a mean over a whole map, and one over the
whole training.
"""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.models.layers.activation import softmax
from src.models.layers.convolution import pointwise
from src.models.layers.rows import outer
from src.parallel import MeanOverWorkers

SHORTEST = 1e-12  # a row shorter than this is not stretched to length 1


def scale_to_length_one(rows):
    """[K, D] -> the same, each row of length 1."""
    squares = ops.matmul(rows * rows, ops.ones((rows.shape[1], 1), rows.dtype))
    return rows * outer(1.0 / ops.maximum(ops.sqrt(squares), SHORTEST), ops.ones((1, rows.shape[1]), rows.dtype))


class Memory(nn.Cell):
    """A prototype per category for the whole training set: state that is saved but not trained.

    Args:
        num_classes: K.
        channels: D.
        momentum: m, both the share of the memory in the prototypes and the share of the new value in an update.

    Attributes:
        prototypes: fp32 [K, D]; it starts with random rows of length 1.
    """

    def __init__(self, num_classes, channels, momentum):
        super().__init__()
        self.momentum = momentum
        rows = np.random.standard_normal((num_classes, channels))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        self.prototypes = Parameter(Tensor(rows.astype(np.float32)), name="prototypes", requires_grad=False)
        self.mean_over_workers = MeanOverWorkers()

    def start_from(self, means):
        """Take over the class means fp32 [K, C], C >= D: the first D channels, rows scaled to length 1.

        A class without a mean, all zeros, keeps its random row.
        """
        rows = means[:, : self.prototypes.shape[1]]
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = np.where(lengths > SHORTEST, rows / np.maximum(lengths, SHORTEST), self.prototypes.asnumpy())
        self.prototypes.set_data(Tensor(rows.astype(np.float32)))

    def construct(self, prototypes):
        """Prototypes of the images fp32 [B, K, D] -> the same with the memory mixed in, as it was before the update.

        In training the memory then follows the mean over the images of all workers, its rows scaled to length 1.
        All categories take part, whether the images show them or not.
        """
        batch, classes, channels = ops.shape(prototypes)
        rows = prototypes.reshape(batch, -1)
        # The sum is a value of its own: the parameter changes before all of this is computed.
        memory = (self.prototypes + 0.0).reshape(1, -1)
        mixed = rows * (1.0 - self.momentum) + outer(ops.ones_like(rows[:, :1]), memory * self.momentum)
        if self.training:
            mean = ops.matmul(ops.ones((1, batch), rows.dtype), ops.stop_gradient(rows)) * (1.0 / batch)
            mean = self.mean_over_workers(mean)
            new = scale_to_length_one(mean.reshape(classes, channels)) * self.momentum
            ops.assign(self.prototypes, memory.reshape(classes, channels) * (1.0 - self.momentum) + new)
        return mixed.reshape(batch, classes, channels)


class Prototypes(nn.Cell):
    """A prototype per image and category: the mean of its pixels' features, weighted by the category's mask.

    Args:
        channels: D.
        groups: of the convolution of the features; divides D.
        memory: `Memory`, or None for none.
    """

    def __init__(self, channels, groups, memory):
        super().__init__()
        self.align = pointwise(channels, channels, bias=False, groups=groups)
        self.memory = memory
        self.product = ops.BatchMatMul(transpose_b=True)

    def construct(self, x, masks):
        """Normalized features [B, D, h, w], raw masks [B, K, h, w] -> [B, K, D] in the type of ``x``.

        In training the memory is updated.
        """
        batch, channels = ops.shape(x)[:2]
        shares = softmax(masks.astype(ms.float32).reshape(batch, ops.shape(masks)[1], -1))
        features = self.align(x).astype(ms.float32).reshape(batch, channels, -1)
        prototypes = self.product(shares, features)
        if self.memory is not None:
            prototypes = self.memory(prototypes)
        return prototypes.astype(x.dtype)
