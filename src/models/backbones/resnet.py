"""ResNet pyramid backbone.

Paper: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
From the paper: depths, widths, basic and bottleneck blocks, stem, initialization.
As the field has it since: the stride of a bottleneck is in its 3x3 convolution, as in torchvision; below output
stride 32 strides become dilations, and the first block of such a stage keeps the dilation of the stage before
(as in timm and mmsegmentation, for basic blocks too); ``deep_stem`` has three 3x3 convolutions (ResNet-C of
He et al., "Bag of Tricks", CVPR 2019).
Deviations: none in the numbers. Parameters have torchvision's names with MindSpore's endings (bn1.gamma).
"""

from mindspore import nn, ops

from src.models.layers.blocks import ConvNormReLU
from src.models.layers.convolution import conv
from src.models.layers.image_size import check_size
from src.models.layers.norm import norm
from src.models.layers.pooling import StemPool


class BasicBlock(nn.Cell):
    """Two 3x3 convolutions and the shortcut: [B, in, H, W] -> [B, channels, H', W']."""

    expansion = 1

    def __init__(self, in_channels, channels, stride, dilation, first_dilation, downsample):
        super().__init__()
        self.conv1 = conv(in_channels, channels, 3, stride, first_dilation)
        self.bn1 = norm(channels, "relu")
        self.conv2 = conv(channels, channels, 3, 1, dilation)
        self.bn2 = norm(channels)
        self.downsample = downsample

    def construct(self, x):
        y = self.bn1(self.conv1(x))
        y = self.bn2(self.conv2(y))
        return ops.relu(y + self.downsample(x))


class Bottleneck(nn.Cell):
    """1x1, 3x3, 1x1 convolutions and the shortcut: [B, in, H, W] -> [B, 4 * channels, H', W']."""

    expansion = 4

    def __init__(self, in_channels, channels, stride, dilation, first_dilation, downsample):
        super().__init__()
        self.conv1 = conv(in_channels, channels, 1)
        self.bn1 = norm(channels, "relu")
        self.conv2 = conv(channels, channels, 3, stride, first_dilation)
        self.bn2 = norm(channels, "relu")
        self.conv3 = conv(channels, self.expansion * channels, 1)
        self.bn3 = norm(self.expansion * channels)
        self.downsample = downsample

    def construct(self, x):
        y = self.bn1(self.conv1(x))
        y = self.bn2(self.conv2(y))
        y = self.bn3(self.conv3(y))
        return ops.relu(y + self.downsample(x))


# name: block, number of blocks per stage
ARCHITECTURES = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
    "resnet152": (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Cell):
    """Four feature maps of an image, finest first.

    The options are explained in ``src.schema.backbones.ResNetConfig``.

    Args:
        name: a key of ``ARCHITECTURES``.

    Attributes:
        out_channels: channels of the four maps.
        strides: their strides; a map has ceil(H / stride) rows and ceil(W / stride) columns.
        any_shape: whether the cell can be compiled once for images of any size.
    """

    any_shape = True

    def __init__(self, name, *, output_stride, deep_stem, norm_eval, frozen_stages):
        super().__init__()
        block, depths = ARCHITECTURES[name]
        if deep_stem:
            self.conv1 = nn.SequentialCell(ConvNormReLU(3, 32, 3, 2), ConvNormReLU(32, 32, 3), conv(32, 64, 3))
        else:
            self.conv1 = conv(3, 64, 7, 2)
        self.bn1 = norm(64, "relu")
        self.maxpool = StemPool()
        stages, self.strides = [], ()
        in_channels, total_stride, dilation = 64, 4, 1
        for index, depth in enumerate(depths):
            stride, first_dilation = (1 if index == 0 else 2), dilation
            if total_stride * stride > output_stride:
                stride, dilation = 1, dilation * stride
            total_stride *= stride
            channels = 64 * 2**index
            stages.append(_stage(block, depth, in_channels, channels, stride, dilation, first_dilation))
            in_channels = channels * block.expansion
            self.strides += (total_stride,)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.out_channels = tuple(64 * 2**index * block.expansion for index in range(4))
        if norm_eval:
            _use_running_statistics(self)
        frozen = [self.conv1, self.bn1, *stages[: max(frozen_stages, 0)]] if frozen_stages >= 0 else []
        for part in frozen:
            _use_running_statistics(part)
            for parameter in part.get_parameters():
                parameter.requires_grad = False

    def construct(self, image):
        """[B, 3, H, W], H and W at least 32 -> four maps [B, C_i, ceil(H / s_i), ceil(W / s_i)].

        Raises ValueError for a smaller image, unless the shape is dynamic.
        """
        check_size(image)
        x = self.maxpool(self.bn1(self.conv1(image)))
        c1 = self.layer1(x)
        c2 = self.layer2(c1)
        c3 = self.layer3(c2)
        c4 = self.layer4(c3)
        return c1, c2, c3, c4


def _use_running_statistics(part):
    """Let the batch norms of ``part`` normalize as in evaluation whatever mode the network is in."""
    for _, cell in part.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            cell.use_batch_statistics = False


def _stage(block, depth, in_channels, channels, stride, dilation, first_dilation):
    out_channels = channels * block.expansion
    if stride != 1 or in_channels != out_channels:
        shortcut = nn.SequentialCell(conv(in_channels, out_channels, 1, stride), norm(out_channels))
    else:
        shortcut = nn.Identity()
    blocks = [block(in_channels, channels, stride, dilation, first_dilation, shortcut)]
    for _ in range(depth - 1):
        blocks.append(block(out_channels, channels, 1, dilation, dilation, nn.Identity()))
    return nn.SequentialCell(*blocks)
