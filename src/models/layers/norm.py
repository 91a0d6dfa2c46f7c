"""Batch norm and layer norm; both compute in fp32 whatever the type of the input.

A layer norm over the channels of a map is made of matrix products in NCHW, which on the CPU is faster than transposing
to rows and back (docs/performance.md).
"""

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import initializer

from src.models.layers import backend
from src.models.layers.rows import outer, sum_rows
from src.native import batch_norm as native


def activate(x, activation):
    """Apply ``relu``, ``relu6`` or, for None, nothing."""
    if activation == "relu":
        return ops.relu(x)
    return ops.relu6(x) if activation == "relu6" else x


class BatchNorm(nn.BatchNorm2d):
    """Batch norm and an activation; it computes in fp32 and returns the type of its input.

    Args:
        activation: ``relu``, ``relu6`` or None.

    Attributes:
        half: pass an fp16 input to the kernel unchanged (level O3); its statistics are fp32 all the same.
    """

    half = False

    def __init__(self, channels, eps, momentum, activation=None):
        super().__init__(channels, eps, momentum)
        self.activation = activation
        self.of_batch, self.fixed = None, None
        if backend.has_native():
            self.of_batch = native.BatchNorm(eps, activation)
            self.fixed = native.FixedNorm(eps, activation)

    def construct(self, x):
        """[B, C, H, W] -> [B, C, H, W]."""
        return self.normalize_alone(x)

    def normalize_alone(self, x):
        """As ``construct``, with the statistics of this worker's pixels alone or the running ones.

        A single pixel (one image, pooled) has no variance, and the kernel would make the running one NaN: it is
        normalized with the running statistics, which stay as they are.
        """
        of_batch = self.training and self.use_batch_statistics is None
        of_batch = of_batch and ops.shape(x)[:1] + ops.shape(x)[2:] != (1, 1, 1)
        if self.fixed is not None and backend.native(x):
            if not of_batch:
                return self.fixed(x, self.gamma, self.beta, self.moving_mean, self.moving_variance)
            y, mean, variance = self.of_batch(x, self.gamma, self.beta)
            self.follow(mean, variance, x.shape[0] * x.shape[2] * x.shape[3])
            return y
        y = x if self.half else x.astype(ms.float32)
        if of_batch:
            y = self.bn_train(y, self.gamma, self.beta, self.moving_mean, self.moving_variance)[0]
        else:
            y = self.bn_infer(y, self.gamma, self.beta, self.moving_mean, self.moving_variance)[0]
        return activate(y.astype(x.dtype), self.activation)

    def follow(self, mean, variance, pixels):
        """Move the running statistics towards those of ``pixels`` pixels."""
        unbiased = ops.stop_gradient(variance) * (pixels / max(pixels - 1, 1))
        self._follow_one(self.moving_mean, ops.stop_gradient(mean))
        self._follow_one(self.moving_variance, unbiased)

    def _follow_one(self, running, value):
        ops.assign(running, running * (1.0 - self.momentum) + value * self.momentum)


def norm(channels, activation=None):
    """Batch norm over [B, C, H, W], and an activation. In MindSpore momentum is the share of the old running value."""
    return BatchNorm(channels, 1e-5, 0.9, activation)


class _LayerNorm(nn.Cell):
    """Layer norm of the rows of x [N, C]; means and broadcasts are matrix products."""

    def __init__(self, eps):
        super().__init__()
        self.eps = eps
        self.add = ops.BiasAdd()

    def statistics(self, x):
        """x - mean, [N, C], and 1 / standard deviation, [N, 1]."""
        channels = x.shape[1]
        mean = ops.fill(x.dtype, (channels, 1), 1.0 / channels)
        centered = x - outer(ops.matmul(x, mean), ops.ones((1, channels), x.dtype))
        return centered, 1.0 / ops.sqrt(ops.matmul(centered * centered, mean) + self.eps)

    def construct(self, x, gamma, beta):
        centered, scale = self.statistics(x)
        return self.add(centered * outer(scale, gamma.reshape(1, -1)), beta)

    def bprop(self, x, gamma, beta, out, dout):
        # Without this dependency the compiler would compute these values in the forward pass and keep them.
        x = ops.depend(x, dout)
        centered, scale = self.statistics(x)
        row = ops.ones((1, x.shape[1]), x.dtype)
        normed = centered * outer(scale, row)
        product = dout * normed
        mean = gamma.reshape(-1, 1) * (1.0 / x.shape[1])
        shift = outer(ops.matmul(dout, mean) * scale, row)
        slope = outer(ops.matmul(product, mean) * scale, row)
        dx = dout * outer(scale, gamma.reshape(1, -1)) - shift - normed * slope
        return dx, sum_rows(product), sum_rows(dout)


class LayerNorm(nn.Cell):
    """Layer norm over the last axis, in fp32: [..., C] -> [..., C] in the type of its input.

    On the CPU it is made of matrix products, which are faster than the operator (docs/performance.md).
    """

    def __init__(self, channels, eps=1e-5):
        super().__init__()
        self.channels = channels
        self.gamma = Parameter(initializer("ones", (channels,)), name="gamma")
        self.beta = Parameter(initializer("zeros", (channels,)), name="beta")
        self.standard = ops.LayerNorm(begin_norm_axis=-1, begin_params_axis=-1, epsilon=eps)
        self.fast = _LayerNorm(eps)

    def construct(self, x):
        rows = x.astype(ms.float32)
        if not backend.products_are_faster():
            return self.standard(rows, self.gamma, self.beta)[0].astype(x.dtype)
        rows = self.fast(rows.reshape(-1, self.channels), self.gamma, self.beta)
        return rows.reshape(ops.shape(x)).astype(x.dtype)


class _ChannelLayerNorm(nn.Cell):
    """Layer norm over C of x [B, C, N]; means and broadcasts are matrix products."""

    def __init__(self, eps):
        super().__init__()
        self.eps = eps
        self.add = ops.BiasAdd()
        self.product = ops.BatchMatMul()

    def statistics(self, x):
        """x - mean [B, C, N], 1 / standard deviation [B, 1, N], rows of means [B, 1, C], columns of ones [B, C, 1]."""
        batch, channels = x.shape[:2]
        mean = ops.fill(x.dtype, (batch, 1, channels), 1.0 / channels)
        ones = ops.ones((batch, channels, 1), x.dtype)
        centered = x - self.product(ones, self.product(mean, x))
        return centered, 1.0 / ops.sqrt(self.product(mean, centered * centered) + self.eps), mean, ones

    def construct(self, x, gamma, beta):
        centered, scale, _, ones = self.statistics(x)
        return self.add(centered * self.product(ones * gamma.reshape(1, -1, 1), scale), beta)

    def bprop(self, x, gamma, beta, out, dout):
        # Without this dependency the compiler would compute these values in the forward pass and keep them.
        x = ops.depend(x, dout)
        centered, scale, mean, ones = self.statistics(x)
        normed = centered * self.product(ones, scale)
        product = dout * normed
        mean = mean * gamma.reshape(1, 1, -1)
        shift = self.product(ones, self.product(mean, dout) * scale)
        slope = self.product(ones, self.product(mean, product) * scale)
        dx = dout * self.product(ones * gamma.reshape(1, -1, 1), scale) - shift - normed * slope
        return dx, ops.sum(ops.sum(product, -1), 0), ops.sum(ops.sum(dout, -1), 0)


class ChannelLayerNorm(nn.Cell):
    """Layer norm over the channels of each pixel, in fp32: [B, C, H, W] -> the same, in the type of its input."""

    def __init__(self, channels, eps=1e-5):
        super().__init__()
        self.channels = channels
        self.gamma = Parameter(initializer("ones", (channels,)), name="gamma")
        self.beta = Parameter(initializer("zeros", (channels,)), name="beta")
        self.standard = ops.LayerNorm(begin_norm_axis=-1, begin_params_axis=-1, epsilon=eps)
        self.fast = _ChannelLayerNorm(eps)

    def construct(self, x):
        y = x.astype(ms.float32)
        if backend.is_static(x) and backend.products_are_faster():
            y = self.fast(y.reshape(x.shape[0], self.channels, -1), self.gamma, self.beta).reshape(x.shape)
        else:
            y = self.standard(y.transpose(0, 2, 3, 1), self.gamma, self.beta)[0].transpose(0, 3, 1, 2)
        return y.astype(x.dtype)
