"""Where the channels of a map are concentrated: the quantity of ECENet's diversity loss."""

import mindspore as ms
from mindspore import nn, ops

from src.models.layers import backend


def _max_over_channels(x):
    """[B, C, N] -> [B, N], comparing half with half: the reduction kernel is much slower on the CPU."""
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        rest = x[:, 2 * half :]
        x = ops.maximum(x[:, :half], x[:, half : 2 * half])
        if rest.shape[1]:
            x = ops.cat((x, rest), 1)
    return x.reshape(x.shape[0], -1)


class _SpatialSoftmaxMax(nn.Cell):
    """`SpatialSoftmaxMax` with a hand-written gradient."""

    def __init__(self):
        super().__init__()
        self.softmax = ops.Softmax(-1)
        self.product = ops.BatchMatMul()

    def shares(self, x):
        return self.softmax(x.astype(ms.float32).reshape(-1, x.shape[2])).reshape(x.shape)

    def construct(self, x):
        return _max_over_channels(self.shares(x))

    def bprop(self, x, out, dout):
        x = ops.depend(x, dout)
        batch, channels, positions = x.shape
        p = self.shares(x)
        largest = ops.broadcast_to(out.reshape(batch, 1, positions), x.shape)
        hit = (p == largest).astype(ms.float32)
        ties = self.product(ops.ones((batch, 1, channels), ms.float32), hit)
        share = dout.reshape(batch, 1, positions) / ties
        dp = (p * hit * ops.broadcast_to(share, x.shape)).reshape(-1, positions)
        total = ops.matmul(dp, ops.ones((positions, 1), ms.float32))
        dx = dp - p.reshape(-1, positions) * ops.matmul(total, ops.ones((1, positions), ms.float32))
        return (dx.reshape(x.shape).astype(x.dtype),)


class SpatialSoftmaxMax(nn.Cell):
    """Softmax of each channel over its positions, then the largest of the channels at each position.

    [B, C, N] -> fp32 [B, N], in (0, 1]. The gradient goes to the largest channel, in equal shares where several tie.
    """

    def __init__(self):
        super().__init__()
        self.fast = _SpatialSoftmaxMax()
        self.softmax = ops.Softmax(-1)

    def construct(self, x):
        if backend.products(x):
            return self.fast(x)
        return ops.amax(self.softmax(x.astype(ms.float32)), 1)
