"""The max-pool of a ResNet's stem."""

from mindspore import nn, ops

from src.models.layers import backend
from src.native.max_pool import MaxPool


class StemPool(nn.Cell):
    """Max-pool 3x3, stride 2, padding 1, of a non-negative map: [B, C, H, W] -> [B, C, H/2, W/2].

    Zeros replace the padding's minus infinity: equal for a non-negative map, and faster on the CPU
    (docs/performance.md).
    """

    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="valid")
        self.native = MaxPool() if backend.has_native() else None

    def construct(self, x):
        if self.native is not None and backend.native(x):
            return self.native(x)
        row = ops.zeros_like(x[:, :, :1])
        x = ops.cat((row, x, row), 2)
        column = ops.zeros_like(x[:, :, :, :1])
        return self.pool(ops.cat((column, x, column), 3))
