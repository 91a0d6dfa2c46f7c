"""Batch norm and layer norm; both compute in fp32 whatever the type of the input."""

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import initializer

from src.models.layers import backend
from src.native import batch_norm as native_batch_norm
from src.native import layer_norm as native_layer_norm


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
            self.of_batch = native_batch_norm.BatchNorm(eps, activation)
            self.fixed = native_batch_norm.FixedNorm(eps, activation)

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
    """Scale, shift and both forms of a layer norm over C channels."""

    def __init__(self, channels, eps, of_pixels):
        super().__init__()
        self.gamma = Parameter(initializer("ones", (channels,)), name="gamma")
        self.beta = Parameter(initializer("zeros", (channels,)), name="beta")
        self.standard = ops.LayerNorm(begin_norm_axis=-1, begin_params_axis=-1, epsilon=eps)
        self.native = native_layer_norm.LayerNorm(eps, of_pixels) if backend.has_native() else None


class LayerNorm(_LayerNorm):
    """Layer norm over the last axis, in fp32: [..., C] -> [..., C] in the type of its input."""

    def __init__(self, channels, eps=1e-5):
        super().__init__(channels, eps, False)

    def construct(self, x):
        if self.native is not None and backend.native(x):
            rows = self.native(x.reshape(-1, x.shape[-1]), self.gamma, self.beta)
            return rows.reshape(x.shape)
        return self.standard(x.astype(ms.float32), self.gamma, self.beta)[0].astype(x.dtype)


class ChannelLayerNorm(_LayerNorm):
    """Layer norm over the channels of each pixel, in fp32: [B, C, H, W] -> the same, in the type of its input."""

    def __init__(self, channels, eps=1e-5):
        super().__init__(channels, eps, True)

    def construct(self, x):
        if self.native is not None and backend.native(x):
            pixels = self.native(x.reshape(*x.shape[:2], -1), self.gamma, self.beta)
            return pixels.reshape(x.shape)
        rows = x.astype(ms.float32).transpose(0, 2, 3, 1)
        return self.standard(rows, self.gamma, self.beta)[0].transpose(0, 3, 1, 2).astype(x.dtype)
