"""The max-pool of a ResNet's stem."""

from mindspore import nn

from src.models.layers import backend
from src.native.max_pool import MaxPool


class StemPool(nn.Cell):
    """Max-pool 3x3, stride 2, padding 1: [B, C, H, W] -> [B, C, ceil(H / 2), ceil(W / 2)]."""

    def __init__(self):
        super().__init__()
        self.standard = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="pad", padding=1)
        self.native = MaxPool() if backend.has_native() else None

    def construct(self, x):
        if self.native is not None and backend.native(x):
            return self.native(x)
        return self.standard(x)
