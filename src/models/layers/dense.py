"""Linear maps of the last axis."""

from mindspore import Parameter, nn, ops
from mindspore.common.initializer import TruncatedNormal, initializer

from src.models.layers import backend
from src.models.layers.rows import sum_rows


class _AddBias(nn.Cell):
    """[N, C] + [C]; the gradient of the bias is a matrix product."""

    def __init__(self):
        super().__init__()
        self.add = ops.BiasAdd()

    def construct(self, x, bias):
        return self.add(x, bias.astype(x.dtype))

    def bprop(self, x, bias, out, dout):
        return dout, sum_rows(dout).astype(bias.dtype)


class AddBias(nn.Cell):
    """[N, C] + [C]."""

    def __init__(self):
        super().__init__()
        self.fast, self.standard = _AddBias(), ops.BiasAdd()

    def construct(self, x, bias):
        return self.fast(x, bias) if backend.products(x) else self.standard(x, bias.astype(x.dtype))


class Dense(nn.Cell):
    """Linear map of the last axis: [..., in_channels] -> [..., out_channels].

    Weights start as a truncated normal of standard deviation 0.02.
    """

    def __init__(self, in_channels, out_channels, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.weight = Parameter(initializer(TruncatedNormal(0.02), (out_channels, in_channels)), name="weight")
        self.bias = Parameter(initializer("zeros", (out_channels,)), name="bias") if bias else None
        self.product = ops.MatMul(transpose_b=True)
        self.add_bias = AddBias()

    def construct(self, x):
        y = self.product(x.reshape(-1, self.in_channels), self.weight.astype(x.dtype))
        if self.bias is not None:
            y = self.add_bias(y, self.bias)
        return y.reshape(ops.shape(x)[:-1] + (self.out_channels,))
