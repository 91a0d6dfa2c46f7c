"""A 3x3 convolution whose gradient towards the input is fast for few channels on the CPU."""

from mindspore import nn, ops


class _InputGradient(nn.Cell):
    """Passes ``y`` = conv(x, weight) on; backwards, gives ``x`` the gradient of a 3x3 convolution of stride 1.

    That gradient is the convolution of the output's gradient with the weights turned by 180 degrees, their two
    channel axes exchanged.
    """

    def __init__(self, in_channels, dilation):
        super().__init__()
        self.conv = ops.Conv2D(in_channels, 3, pad_mode="pad", pad=dilation, dilation=dilation)
        self.turn = ops.ReverseV2(axis=[2, 3])

    def construct(self, y, x, weight):
        return y

    def bprop(self, y, x, weight, out, dout):
        turned = ops.transpose(self.turn(weight), (1, 0, 2, 3))
        return dout, self.conv(dout, turned), ops.zeros_like(weight)


class NarrowConv3x3(nn.Conv2d):
    """``nn.Conv2d`` with 3x3 kernels, stride 1 and no bias, for at most 64 output channels.

    oneDNN's own input gradient takes twice as long as a forward convolution there (64 -> 64 channels, 8 x 88 x 88:
    54 against 28 ms on two cores; from 128 channels on they are equal). The weights' gradient is the standard one.
    """

    def __init__(self, in_channels, out_channels, dilation, weight_init):
        super().__init__(
            in_channels,
            out_channels,
            3,
            pad_mode="pad",
            padding=dilation,
            dilation=dilation,
            weight_init=weight_init,
        )
        self.input_gradient = _InputGradient(in_channels, dilation)

    def construct(self, x):
        """[B, in_channels, H, W] -> [B, out_channels, H, W]."""
        if not self.training:
            return super().construct(x)
        y = self.conv2d(ops.stop_gradient(x), self.weight)
        return self.input_gradient(y, x, ops.stop_gradient(self.weight))
