"""Softmax and GELU; both compute in fp32 whatever the type of the input."""

import mindspore as ms
from mindspore import nn, ops

from src.models.layers import backend


def softmax(x):
    """Softmax over the last axis of any shape; computed in fp32 on a 2-D view, returned in the type of ``x``."""
    rows = x.astype(ms.float32).reshape(-1, ops.shape(x)[-1])
    return ops.Softmax(-1)(rows).reshape(ops.shape(x)).astype(x.dtype)


# Φ(x) = sigmoid(x P(x²)) with the polynomial P fitted to logit(Φ(x)) / x on [0, 5.5]: Φ is then wrong by less
# than 1.5e-7, and beyond 5.5 x(1 - Φ(x)) is below 1.1e-7, so that x² may be clamped there.
_PHI = (
    1.595768432,
    7.266856648e-2,
    -6.625962880e-5,
    -1.104804167e-4,
    7.938232016e-6,
    -2.668936127e-7,
    3.611250534e-9,
)


class _GELU(nn.Cell):
    """x Φ(x), elementwise."""

    def phi(self, x):
        square = ops.minimum(x * x, 30.25)
        p = square * _PHI[6] + _PHI[5]
        p = p * square + _PHI[4]
        p = p * square + _PHI[3]
        p = p * square + _PHI[2]
        p = p * square + _PHI[1]
        p = p * square + _PHI[0]
        return ops.sigmoid(x * p)

    def construct(self, x):
        return x * self.phi(x)

    def bprop(self, x, out, dout):
        x = ops.depend(x, dout)
        density = ops.exp(x * x * (-0.5)) * 0.3989422804
        return (dout * (self.phi(x) + x * density),)


class _TanhGELU(nn.Cell):
    """x (1 + tanh(t)) / 2 = x sigmoid(2t) with t = √(2/π) (x + 0.044715 x³), elementwise."""

    def construct(self, x):
        return x * ops.sigmoid(x * (x * x * 0.0713548163 + 1.5957691216))

    def bprop(self, x, out, dout):
        x = ops.depend(x, dout)
        square = x * x
        gate = ops.sigmoid(x * (square * 0.0713548163 + 1.5957691216))
        slope = x * (square * 0.2140644489 + 1.5957691216)
        return (dout * (gate + slope * gate * (1.0 - gate)),)


class GELU(nn.Cell):
    """GELU of any shape, exact or in the tanh approximation.

    On the CPU the exact form is a polynomial, because the erf kernel is slow (docs/performance.md); the two agree
    to 5e-7.
    """

    def __init__(self, approximate=False):
        super().__init__()
        self.form = "tanh" if approximate else "none"
        self.fast = _TanhGELU() if approximate else _GELU()

    def construct(self, x):
        if backend.products_are_faster():
            return self.fast(x.astype(ms.float32)).astype(x.dtype)  # the polynomial needs more than fp16
        return ops.gelu(x, self.form)
