"""Max-pool 3x3, stride 2, padding 1, by the native kernels, fp32, with its gradient."""

from mindspore import nn

from src.native import library


class MaxPool(nn.Cell):
    """[B, C, H, W] -> [B, C, ceil(H / 2), ceil(W / 2)]."""

    def __init__(self):
        super().__init__()
        self.forward = library.operator(
            "MaxPool", lambda x: [x[0], x[1], (x[2] + 1) // 2, (x[3] + 1) // 2], lambda x: x
        )
        self.gradient = library.operator("MaxPoolGradient", lambda dy, x: x, lambda dy, x: x)

    def construct(self, x):
        return self.forward(x)

    def bprop(self, x, out, dout):
        return (self.gradient(dout, x),)
