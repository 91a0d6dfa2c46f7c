"""EfficientNet-Lite0 pyramid backbone.

Paper: Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; the Lite
variant (ReLU6, no squeeze-and-excitation, stem and head not scaled) is in
github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite, Apache-2.0.
From there: blocks, widths, kernel sizes, TensorFlow's "same" padding (what is uneven goes to the right and
bottom), batch norm eps 1e-3.
As in timm and in this project's ResNet: below output stride 32 strides become dilations, and the first block of such a
stage keeps the dilation of the stage before.
Ours: batch norm momentum 0.1 instead of 0.01, for short fine-tuning; the head is left out. The four maps are the
last block outputs at each stride, without activation, as with timm's ``features_only``.
Deviations: none in the numbers (equal to timm's ``tf_efficientnet_lite0``).

Parameters have timm's names with MindSpore's endings: ``conv_stem``, ``bn1``, ``blocks.S.B.{conv_dw, bn1,
conv_pw, bn2}`` for S = 0 and ``blocks.S.B.{conv_pw, bn1, conv_dw, bn2, conv_pwl, bn3}`` for S = 1..6.
"""

from mindspore import nn, ops
from mindspore.common.initializer import HeNormal

from src.models.layers.convolution import Conv2d
from src.models.layers.drop_path import DropPaths, add_branch, linear_rates
from src.models.layers.image_size import check_size
from src.models.layers.norm import BatchNorm

EXPANSION = 6
# blocks, kernel size, stride of the first block, output channels
STAGES = (
    (1, 3, 1, 16),
    (2, 3, 2, 24),
    (2, 5, 2, 40),
    (3, 3, 2, 80),
    (3, 5, 1, 112),
    (4, 5, 2, 192),
    (1, 3, 1, 320),
)
OUTPUTS = (1, 2, 4, 6)  # the last stage at each of the strides 4, 8, 16, 32 of the undilated network


def _conv(in_channels, out_channels, kernel_size=1, stride=1, groups=1, dilation=1):
    init = HeNormal(mode="fan_out", nonlinearity="relu")
    return Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        pad_mode="same",
        dilation=dilation,
        group=groups,
        weight_init=init,
    )


def _norm(channels, activation=None):
    return BatchNorm(channels, 1e-3, 0.9, activation)


class DepthwiseSeparable(nn.Cell):
    """Depthwise and 1x1 convolution: [B, in, H, W] -> [B, out, H, W]."""

    def __init__(self, in_channels, out_channels, kernel_size):
        super().__init__()
        self.conv_dw = _conv(in_channels, in_channels, kernel_size, groups=in_channels)
        self.bn1 = _norm(in_channels, "relu6")
        self.conv_pw = _conv(in_channels, out_channels)
        self.bn2 = _norm(out_channels)

    def construct(self, x, keep):
        x = self.bn1(self.conv_dw(x))
        return self.bn2(self.conv_pw(x))


class InvertedResidual(nn.Cell):
    """1x1, depthwise and 1x1 convolution, and the shortcut where shapes allow: [B, in, H, W] -> [B, out, H', W']."""

    def __init__(self, in_channels, out_channels, kernel_size, stride, dilation):
        super().__init__()
        width = EXPANSION * in_channels
        self.conv_pw = _conv(in_channels, width)
        self.bn1 = _norm(width, "relu6")
        self.conv_dw = _conv(width, width, kernel_size, stride, width, dilation)
        self.bn2 = _norm(width, "relu6")
        self.conv_pwl = _conv(width, out_channels)
        self.bn3 = _norm(out_channels)
        self.shortcut = stride == 1 and in_channels == out_channels

    def construct(self, x, keep):
        """keep: factor of the branch, see `add_branch`."""
        y = self.bn1(self.conv_pw(x))
        y = self.bn2(self.conv_dw(y))
        y = self.bn3(self.conv_pwl(y))
        return add_branch(x, y, keep) if self.shortcut else y


class EfficientNetLite(nn.Cell):
    """Four feature maps of an image, finest first.

    The options are explained in ``src.schema.backbones.EfficientNetLiteConfig``.

    Attributes:
        out_channels: channels of the four maps.
        strides: their strides; a map has ceil(H / stride) rows and ceil(W / stride) columns.
        any_shape: whether the cell can be compiled once for images of any size.
    """

    any_shape = True

    def __init__(self, *, drop_path, output_stride):
        super().__init__()
        self.conv_stem = _conv(3, 32, 3, 2)
        self.bn1 = _norm(32, "relu6")
        in_channels, stages, strides = 32, [], []
        total_stride, dilation = 2, 1
        for index, (depth, kernel_size, stride, channels) in enumerate(STAGES):
            blocks, first_dilation = [], dilation
            if total_stride * stride > output_stride:
                stride, dilation = 1, dilation * stride
            total_stride *= stride
            strides.append(total_stride)
            for block in range(depth):
                if index == 0:
                    blocks.append(DepthwiseSeparable(in_channels, channels, kernel_size))
                else:
                    block_dilation = dilation if block else first_dilation
                    blocks.append(InvertedResidual(in_channels, channels, kernel_size, stride, block_dilation))
                in_channels, stride = channels, 1
            stages.append(nn.CellList(blocks))
        self.blocks = nn.CellList(stages)
        self.drop_path = DropPaths(linear_rates(drop_path, [stage[0] for stage in STAGES]))
        self.out_channels = tuple(STAGES[i][3] for i in OUTPUTS)
        self.strides = tuple(strides[i] for i in OUTPUTS)

    def construct(self, image):
        """[B, 3, H, W], H and W at least 32 -> four maps [B, C_i, ceil(H / s_i), ceil(W / s_i)].

        Raises ValueError for a smaller image, unless the shape is dynamic.
        """
        check_size(image)
        keeps = self.drop_path(ops.shape(image)[0])
        x = self.bn1(self.conv_stem(image))
        maps, count = (), 0
        for index, stage in enumerate(self.blocks):
            for block in stage:
                x = block(x, keeps[count])
                count += 1
            if index in OUTPUTS:
                maps += (x,)
        return maps
