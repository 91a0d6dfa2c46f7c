"""Softmax and GELU; both compute in fp32 whatever the type of the input."""

import mindspore as ms
from mindspore import nn, ops

from src.models.layers import backend
from src.native import gelu


def softmax(x):
    """Softmax over the last axis of any shape; computed in fp32 on a 2-D view, returned in the type of ``x``."""
    rows = x.astype(ms.float32).reshape(-1, ops.shape(x)[-1])
    return ops.Softmax(-1)(rows).reshape(ops.shape(x)).astype(x.dtype)


class GELU(nn.Cell):
    """GELU of any shape, exact or in the tanh approximation."""

    def __init__(self, approximate=False):
        super().__init__()
        self.form = "tanh" if approximate else "none"
        self.native = gelu.GELU(approximate) if backend.has_native() else None

    def construct(self, x):
        if self.native is not None and backend.native(x):
            return self.native(x)
        return ops.gelu(x.astype(ms.float32), self.form).astype(x.dtype)
