"""Dynamic loss scaling (Micikevicius et al., "Mixed Precision Training", ICLR 2018)."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

SMALLEST, LARGEST = 1.0, 2.0**24


class LossScale(nn.Cell):
    """The factor that keeps fp16 gradients from vanishing.

    An update whose gradient is not finite halves it; ``window`` good updates in a row double it. Scale and count are
    parameters, so that a checkpoint holds them.
    """

    def __init__(self, initial=2.0**16, window=1000):
        super().__init__()
        self.window = window
        self.scale = Parameter(Tensor(initial, ms.float32), name="loss_scale", requires_grad=False)
        self.good = Parameter(Tensor(0.0, ms.float32), name="good_updates", requires_grad=False)

    def state(self) -> list[Parameter]:
        """What the next update depends on."""
        return [self.scale, self.good]

    def construct(self, finite):
        """finite: whether the update was finite, bool or fp32 scalar -> the new scale."""
        finite = finite.astype(ms.float32)
        good = (self.good + 1.0) * finite
        grow = (good >= self.window).astype(ms.float32)
        factor = finite * (1.0 + grow) + (1.0 - finite) * 0.5
        ops.assign(self.good, good * (1.0 - grow))
        return ops.assign(self.scale, ops.clamp(self.scale * factor, SMALLEST, LARGEST))
