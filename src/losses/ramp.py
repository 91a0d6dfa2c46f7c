"""A weight that rises from 0 over the first share of a training. Our own."""

import mindspore as ms
from mindspore import nn, ops


class Ramp(nn.Cell):
    """Scales the value of a loss at update t = 0, 1, ... of T by min(1, t / (share T)).

    Args:
        share: of the training over which the weight rises, in [0, 1]; 0: the value is left as it is.
        iterations: T.
    """

    def __init__(self, share, iterations):
        super().__init__()
        self.length = share * iterations

    def construct(self, value, step):
        """Scalar and update, int32 scalar, or None for after the rise -> scalar."""
        if self.length == 0 or step is None:
            return value
        return value * ops.minimum(step.astype(ms.float32) * (1.0 / self.length), 1.0)
