"""ResNet 18 to 152: names of torchvision, timm, mmsegmentation, transformers and MindCV.

torchvision's names are ours but for the endings. The deep stem (three 3x3 convolutions) exists as timm's ``resnet50c``
and as ``resnet50_v1c`` of OpenMMLab, two spellings of the same network.
"""

_BODY = [
    ("conv1.weight", "conv1.weight"),
    ("bn1.{norm}", "bn1.{norm}"),
    ("layer{s}.{b}.conv{k}.weight", "layer{s}.{b}.conv{k}.weight"),
    ("layer{s}.{b}.bn{k}.{norm}", "layer{s}.{b}.bn{k}.{norm}"),
    ("layer{s}.{b}.downsample.0.weight", "layer{s}.{b}.downsample.0.weight"),
    ("layer{s}.{b}.downsample.1.{norm}", "layer{s}.{b}.downsample.1.{norm}"),
]

TORCHVISION = _BODY

TIMM = [
    ("conv1.0.conv.weight", "conv1.0.weight"),
    ("conv1.0.bn.{norm}", "conv1.1.{norm}"),
    ("conv1.1.conv.weight", "conv1.3.weight"),
    ("conv1.1.bn.{norm}", "conv1.4.{norm}"),
    ("conv1.2.weight", "conv1.6.weight"),
    *_BODY,
]

MMSEG = [
    ("conv1.0.conv.weight", "stem.0.weight"),
    ("conv1.0.bn.{norm}", "stem.1.{norm}"),
    ("conv1.1.conv.weight", "stem.3.weight"),
    ("conv1.1.bn.{norm}", "stem.4.{norm}"),
    ("conv1.2.weight", "stem.6.weight"),
    ("bn1.{norm}", "stem.7.{norm}"),
    *_BODY,
]

HUGGINGFACE = [
    ("conv1.weight", "embedder.embedder.convolution.weight"),
    ("bn1.{norm}", "embedder.embedder.normalization.{norm}"),
    ("layer{s}.{b}.conv{k}.weight", "encoder.stages.{s-1}.layers.{b}.layer.{k-1}.convolution.weight"),
    ("layer{s}.{b}.bn{k}.{norm}", "encoder.stages.{s-1}.layers.{b}.layer.{k-1}.normalization.{norm}"),
    ("layer{s}.{b}.downsample.0.weight", "encoder.stages.{s-1}.layers.{b}.shortcut.convolution.weight"),
    ("layer{s}.{b}.downsample.1.{norm}", "encoder.stages.{s-1}.layers.{b}.shortcut.normalization.{norm}"),
]

MINDCV = [
    ("conv1.weight", "conv1.weight"),
    ("bn1.{any}", "bn1.{any}"),
    ("layer{s}.{b}.conv{k}.weight", "layer{s}.{b}.conv{k}.weight"),
    ("layer{s}.{b}.bn{k}.{any}", "layer{s}.{b}.bn{k}.{any}"),
    ("layer{s}.{b}.downsample.0.weight", "layer{s}.{b}.down_sample.0.weight"),
    ("layer{s}.{b}.downsample.1.{any}", "layer{s}.{b}.down_sample.1.{any}"),
]
