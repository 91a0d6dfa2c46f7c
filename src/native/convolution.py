"""Convolutions by the native kernels, fp32, with their gradients."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.native import library


def _size_and_padding(size, kernel, stride, dilation, padding):
    """Size of the result and padding before the map, along one axis; ``padding`` is a number or ``same``."""
    reach = (kernel - 1) * dilation + 1
    if padding == "same":
        result = -(-size // stride)
        return result, max((result - 1) * stride + reach - size, 0) // 2
    return (size + 2 * padding - reach) // stride + 1, padding


@ms.constexpr
def _options(height, width, kernel, stride, dilation, groups, padding):
    """What the kernels have to know beside the shapes, int32 [5]."""
    top = _size_and_padding(height, kernel[0], stride, dilation, padding)[1]
    left = _size_and_padding(width, kernel[1], stride, dilation, padding)[1]
    return Tensor(np.array([stride, dilation, groups, top, left], np.int32))


class _Operators(nn.Cell):
    """What convolutions with and without a bias share."""

    def __init__(self, kernel_size, stride, dilation, groups, padding):
        super().__init__()
        self.kernel, self.stride, self.dilation, self.groups = tuple(kernel_size), stride, dilation, groups
        self.padding = padding
        self.gradient_of_map = library.operator(
            "ConvolveGradientOfMap", lambda dy, weight, options, x: x, lambda dy, *_: dy
        )
        self.gradient_of_weight = library.operator(
            "ConvolveGradientOfWeight", lambda dy, x, options, weight: weight, lambda dy, *_: dy
        )

    def operator(self, name):
        """The kernel of this name, which computes the result."""
        key = (self.kernel, self.stride, self.dilation, self.groups, self.padding)
        return library.operator(name, self.result, lambda x, *_: x, key)

    def result(self, x, weight, *_):
        sizes = [
            _size_and_padding(size, kernel, self.stride, self.dilation, self.padding)[0]
            for size, kernel in zip(x[2:], self.kernel, strict=True)
        ]
        return [x[0], weight[0], *sizes]

    def options(self, x):
        height, width = x.shape[2:]
        return _options(height, width, self.kernel, self.stride, self.dilation, self.groups, self.padding)


class Convolution(_Operators):
    """x [B, Ci, H, W], weight [Co, Ci / groups, kh, kw] -> [B, Co, H', W'], all fp32; H and W known when compiling.

    Args:
        kernel_size: kh and kw.
        padding: on all sides, or ``same`` for ceil(size / stride) rows and columns, the smaller part before the map.
    """

    def __init__(self, kernel_size, stride, dilation, groups, padding):
        super().__init__(kernel_size, stride, dilation, groups, padding)
        self.forward = self.operator("Convolve")

    def construct(self, x, weight):
        return self.forward(x, weight, self.options(x))

    def bprop(self, x, weight, out, dout):
        options = self.options(x)
        return self.gradient_of_map(dout, weight, options, x), self.gradient_of_weight(dout, x, options, weight)


class ConvolutionWithBias(_Operators):
    """As `Convolution`, with a bias [Co] added."""

    def __init__(self, kernel_size, stride, dilation, groups, padding):
        super().__init__(kernel_size, stride, dilation, groups, padding)
        self.forward = self.operator("ConvolveAndAdd")
        self.sum_of_channels = library.operator("SumOfChannels", lambda x: [x[1]], lambda x: x)

    def construct(self, x, weight, bias):
        return self.forward(x, weight, bias, self.options(x))

    def bprop(self, x, weight, bias, out, dout):
        options = self.options(x)
        dx = self.gradient_of_map(dout, weight, options, x)
        return dx, self.gradient_of_weight(dout, x, options, weight), self.sum_of_channels(dout)
