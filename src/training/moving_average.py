"""Exponential moving average of a network's weights (Polyak & Juditsky, 1992; with the warm-up of TensorFlow's)."""

import mindspore as ms
from mindspore import ParameterTuple, Tensor, nn, ops

# Statistics of the training data as these weights see them: averaged weights need averaged ones.
RUNNING = ("moving_mean", "moving_variance", "memory.prototypes")


class MovingAverage(nn.Cell):
    """Averages the trained weights, the running statistics of batch norms and CPT's memory; other state is not.

    Args:
        network: the averages start at its current values.
        decay: share of the old average; smaller in the first updates, (1 + n) / (10 + n).
    """

    def __init__(self, network: nn.Cell, decay: float):
        super().__init__(auto_prefix=False)
        self.decay = Tensor(decay, ms.float32)
        followed = [p for p in network.get_parameters() if p.requires_grad or p.name.endswith(RUNNING)]
        self.weights = ParameterTuple(followed)
        self.averages = self.weights.clone(prefix="average", init="same")
        self.map = ops.HyperMap()
        self.exchange = _Exchange(self.weights, self.averages)

    def construct(self, updates):
        """updates: number of updates before this one, fp32 scalar."""
        decay = ops.minimum(self.decay, (1.0 + updates) / (10.0 + updates))
        return self.map(ops.partial(_follow, decay), self.averages, self.weights)


class _Exchange(nn.Cell):
    """Swap the averages with the network's weights; a second call swaps them back."""

    def __init__(self, weights, averages):
        super().__init__(auto_prefix=False)
        self.weights, self.averages = weights, averages
        self.map = ops.HyperMap()

    def construct(self):
        self.map(_swap, self.weights, self.averages)
        return True


def _follow(decay, average, weight):
    return ops.assign(average, average * decay + weight * (1.0 - decay))


def _swap(weight, average):
    value = weight + 0.0  # a copy: the parameter changes next
    ops.assign(weight, average)
    return ops.assign(average, value)
