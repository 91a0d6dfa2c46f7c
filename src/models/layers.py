"""Layers that several networks share.

Several of them are written in a form that is faster on MindSpore's CPU back end than the standard operator and
equal to it up to rounding; the comment at each says what was measured (two cores, fp32, milliseconds forward
and backward).
"""

from functools import lru_cache

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import HeNormal, Normal, TruncatedNormal, initializer
from mindspore.ops import functional as F

MIN_SIZE = 32  # smallest height and width of an image: the deepest stride of a pyramid


def is_static(x):
    """Whether the shape of ``x`` is known while the graph is compiled."""
    return not F.is_sequence_value_unknown(ops.shape(x))


def check_size(image):
    """Refuse an image [B, 3, H, W] below 32 pixels a side; at compile time, so not for dynamic shapes."""
    if is_static(image):
        height, width = image.shape[2:]
        if height < MIN_SIZE or width < MIN_SIZE:
            raise ValueError(f"image size must be at least {MIN_SIZE} x {MIN_SIZE}, got {height} x {width}")


# ----------------------------------------------------------------------------------- convolution and norm
class Conv2d(nn.Conv2d):
    """``nn.Conv2d`` in the type of its input: in mixed precision the weights are fp32, the products fp16."""

    def construct(self, x):
        y = self.conv2d(x, self.weight.astype(x.dtype))
        return self.bias_add(y, self.bias.astype(x.dtype)) if self.has_bias else y


class BatchNorm(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` that computes in fp32 and answers in the type of its input.

    Attributes:
        half: give the kernel an fp16 input as it is (level O3); its statistics are fp32 all the same.
    """

    half = False

    def construct(self, x):
        """[B, C, H, W] -> [B, C, H, W]."""
        return self.normalise_alone(x)

    def normalise_alone(self, x):
        """As ``construct``; with the statistics of this worker's pixels or the running ones."""
        y = x if self.half else x.astype(ms.float32)
        if self.training and self.use_batch_statistics is None:
            y = self.bn_train(y, self.gamma, self.beta, self.moving_mean, self.moving_variance)[0]
        else:
            y = self.bn_infer(y, self.gamma, self.beta, self.moving_mean, self.moving_variance)[0]
        return y.astype(x.dtype)


def softmax(x):
    """Softmax over the last axis, on a 2-D view, in fp32; any shape, in the type of ``x``."""
    rows = x.astype(ms.float32).reshape(-1, ops.shape(x)[-1])
    return ops.Softmax(-1)(rows).reshape(ops.shape(x)).astype(x.dtype)


def conv(in_channels, out_channels, kernel_size, stride=1, dilation=1, groups=1, bias=False):
    """Convolution with PyTorch's padding: the output has ceil(size / stride) rows and columns (odd kernels)."""
    return Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        pad_mode="pad",
        padding=dilation * (kernel_size // 2),
        dilation=dilation,
        group=groups,
        has_bias=bias,
        weight_init=HeNormal(mode="fan_out", nonlinearity="relu"),
        bias_init="zeros",
    )


def classifier(in_channels, num_classes):
    """1x1 convolution to logits, with small weights so that training starts near equal probabilities."""
    return Conv2d(in_channels, num_classes, 1, has_bias=True, weight_init=Normal(sigma=0.01), bias_init="zeros")


def norm(channels):
    """Batch norm over [B, C, H, W]; MindSpore's momentum is the share of the old running value."""
    return BatchNorm(channels, eps=1e-5, momentum=0.9)


class ConvNormReLU(nn.Cell):
    """Convolution without bias, batch norm, ReLU: [B, C, H, W] -> [B, out_channels, H', W']."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, dilation=1):
        super().__init__()
        self.conv = conv(in_channels, out_channels, kernel_size, stride, dilation)
        self.bn = norm(out_channels)

    def construct(self, x):
        return ops.relu(self.bn(self.conv(x)))


# ------------------------------------------------------------------------------------------------- pooling
class StemPool(nn.Cell):
    """Max-pool 3x3, stride 2, padding 1, of a map that is nowhere negative: [B, C, H, W] -> [B, C, H/2, W/2].

    Zeros stand for the padding's minus infinity, which the non-negative input makes equal. With 64 channels and
    4 x 128 x 128 pixels: forward 10 instead of 34.
    """

    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="valid")

    def construct(self, x):
        row = ops.zeros_like(x[:, :, :1])
        x = ops.cat((row, x, row), 2)
        column = ops.zeros_like(x[:, :, :, :1])
        return self.pool(ops.cat((column, x, column), 3))


# ------------------------------------------------------------------------------------------------- resizing
# Sources up to this many pixels are resized by one product with the Kronecker matrix.
_KRONECKER_PIXELS = 64


@lru_cache(maxsize=256)
def interpolation_matrix(source: int, target: int) -> np.ndarray:
    """Matrix [target, source] of linear interpolation with half-pixel centres and clamped borders."""
    position = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    left = np.floor(position).astype(np.int64)
    right = np.minimum(left + 1, source - 1)
    share = position - left
    matrix = np.zeros((target, source))
    np.add.at(matrix, (np.arange(target), left), 1 - share)
    np.add.at(matrix, (np.arange(target), right), share)
    return matrix.astype(np.float32)


@ms.constexpr
def _matrix(source, target):
    return Tensor(interpolation_matrix(source, target))


@ms.constexpr
def _matrix_transposed(source, target):
    return Tensor(np.ascontiguousarray(interpolation_matrix(source, target).T))


@ms.constexpr
def _kronecker(height, width, new_height, new_width):
    rows, columns = interpolation_matrix(height, new_height), interpolation_matrix(width, new_width)
    return Tensor(np.ascontiguousarray(np.kron(rows, columns).T))


@ms.constexpr
def products_are_faster():
    return ms.get_context("device_target") == "CPU"


def resize_bilinear(x, size):
    """Bilinear resize with half-pixel centres (align_corners False, no antialiasing).

    On the CPU and with a shape known at compile time this is a product with constant matrices: 64 -> 256 pixels
    a side, 4 x 11 channels: 3.1 / 3.1 instead of 3.7 / 20.

    Args:
        x: [B, C, h, w].
        size: (H, W).

    Returns:
        [B, C, H, W] in the type of ``x``.
    """
    if F.is_sequence_value_unknown(ops.shape(x)) or F.is_sequence_value_unknown(size):
        return ops.ResizeBilinearV2(half_pixel_centers=True)(x, size)
    if not products_are_faster():
        return ops.ResizeBilinearV2(half_pixel_centers=True)(x, size)
    batch, channels, height, width = x.shape
    new_height, new_width = size
    if (height, width) == (new_height, new_width):
        return x
    if height * width <= _KRONECKER_PIXELS:
        matrix = _kronecker(height, width, new_height, new_width).astype(x.dtype)
        return ops.matmul(x.reshape(-1, height * width), matrix).reshape(batch, channels, new_height, new_width)
    x = ops.matmul(x.reshape(-1, width), _matrix_transposed(width, new_width).astype(x.dtype))
    x = ops.matmul(_matrix(height, new_height).astype(x.dtype), x.reshape(batch * channels, height, new_width))
    return x.reshape(batch, channels, new_height, new_width)


# ------------------------------------------------------------------------------------- layers over channels
def _sum_rows(x):
    """[N, C] -> [C]: a product with a row of ones is faster than a sum over the first axis."""
    return ops.matmul(ops.ones((1, x.shape[0]), x.dtype), x).reshape(-1)


class AddBias(nn.Cell):
    """[N, C] + [C]."""

    def __init__(self):
        super().__init__()
        self.add = ops.BiasAdd()

    def construct(self, x, bias):
        return self.add(x, bias.astype(x.dtype))

    def bprop(self, x, bias, out, dout):
        return dout, _sum_rows(dout).astype(bias.dtype)


class Dense(nn.Cell):
    """Linear map of the last axis: [..., in_channels] -> [..., out_channels].

    One matrix product and the bias's gradient as another. 25600 x 128 -> 512: forward and backward 64, with
    BiasAdd's own gradient 111; ``nn.Dense`` is slower still. Weights start as a truncated normal of standard deviation
    0.02, or as ``weight_init`` says.
    """

    def __init__(self, in_channels, out_channels, bias=True, weight_init=None):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        weight_init = weight_init or TruncatedNormal(0.02)
        self.weight = Parameter(initializer(weight_init, (out_channels, in_channels)), name="weight")
        self.bias = Parameter(initializer("zeros", (out_channels,)), name="bias") if bias else None
        self.product = ops.MatMul(transpose_b=True)
        self.add_bias = AddBias()

    def construct(self, x):
        y = self.product(x.reshape(-1, self.in_channels), self.weight.astype(x.dtype))
        if self.bias is not None:
            y = self.add_bias(y, self.bias)
        return y.reshape(ops.shape(x)[:-1] + (self.out_channels,))


def outer(column, row):
    """[N, 1] and [1, C] -> [N, C]: how to repeat a column or a row.

    On the CPU an elementwise operator whose arguments have different shapes keeps 16 bytes per element of its
    result for as long as the graph lives, and is slower than this product and an operator of equal shapes.
    """
    return ops.matmul(column, row)


class _LayerNorm(nn.Cell):
    """Layer norm of rows, x [N, C], with products for all means and repetitions."""

    def __init__(self, eps):
        super().__init__()
        self.eps = eps
        self.add = ops.BiasAdd()

    def statistics(self, x):
        """x - mean, [N, C], and 1 / standard deviation, [N, 1]."""
        channels = x.shape[1]
        mean = ops.fill(x.dtype, (channels, 1), 1.0 / channels)
        centred = x - outer(ops.matmul(x, mean), ops.ones((1, channels), x.dtype))
        return centred, 1.0 / ops.sqrt(ops.matmul(centred * centred, mean) + self.eps)

    def construct(self, x, gamma, beta):
        centred, scale = self.statistics(x)
        return self.add(centred * outer(scale, gamma.reshape(1, -1)), beta)

    def bprop(self, x, gamma, beta, out, dout):
        # Without this the recomputed values would be made during the forward pass and kept.
        x = ops.depend(x, dout)
        centred, scale = self.statistics(x)
        row = ops.ones((1, x.shape[1]), x.dtype)
        normed = centred * outer(scale, row)
        product = dout * normed
        mean = gamma.reshape(-1, 1) * (1.0 / x.shape[1])
        shift = outer(ops.matmul(dout, mean) * scale, row)
        slope = outer(ops.matmul(product, mean) * scale, row)
        dx = dout * outer(scale, gamma.reshape(1, -1)) - shift - normed * slope
        return dx, _sum_rows(product), _sum_rows(dout)


class LayerNorm(nn.Cell):
    """Layer norm over the last axis, in fp32: [..., C] -> [..., C] in the type of its input.

    1600 x 512: forward 1.8 instead of 3.0, gradients 3.5 instead of 16.
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
        if not products_are_faster():
            return self.standard(rows, self.gamma, self.beta)[0].astype(x.dtype)
        rows = self.fast(rows.reshape(-1, self.channels), self.gamma, self.beta)
        return rows.reshape(ops.shape(x)).astype(x.dtype)


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
    """GELU, exact or in the tanh approximation, of any shape.

    Exact, 4096 x 1024: forward 16 instead of 58 (the erf kernel is slow), with backward 21 instead of 76; equal
    to 5e-7.
    """

    def __init__(self, approximate=False):
        super().__init__()
        self.form = "tanh" if approximate else "none"
        self.fast = _TanhGELU() if approximate else _GELU()

    def construct(self, x):
        if products_are_faster():
            return self.fast(x.astype(ms.float32)).astype(x.dtype)  # the polynomial needs more than fp16
        return ops.gelu(x, self.form)
