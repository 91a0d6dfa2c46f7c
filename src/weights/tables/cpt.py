"""CPT's decoder: names of the public implementation (see ``rules`` for the language)."""

_BLOCK, _ATTENTION = "cft_blocks.{i}.", "cft_blocks.{i}.cross_attn."
CODE = [
    ("laterals.{i}.{p}", "lateral_convs.{i}.{p}"),
    ("blocks.{i}.norm_low.{norm}", _BLOCK + "norm_low.{norm}"),
    ("blocks.{i}.norm_high.{norm}", _BLOCK + "norm_high.{norm}"),
    ("blocks.{i}.mask.{k}.weight", _ATTENTION + "kv.mask_learner.{k}.weight"),
    ("blocks.{i}.prototypes.align.weight", _ATTENTION + "kv.align_conv.weight"),
    ("blocks.{i}.prototypes.memory.prototypes", _ATTENTION + "kv.memory"),
    ("blocks.{i}.query_depthwise.{p}", _ATTENTION + "q.depthwise_conv.conv.{p}"),
    ("blocks.{i}.query_pointwise.{p}", _ATTENTION + "q.pointwise_conv.conv.{p}"),
    ("blocks.{i}.key_value.{p}", _ATTENTION + "kv.cf_embed.{p}"),
    ("blocks.{i}.project.{p}", _ATTENTION + "proj.{p}"),
    ("blocks.{i}.norm_mlp.{norm}", _BLOCK + "norm_mlp.{norm}"),
    ("blocks.{i}.mlp.expand.{p}", _BLOCK + "mlp.0.{p}"),
    ("blocks.{i}.mlp.depthwise.{p}", _BLOCK + "mlp.1.{p}"),
    ("blocks.{i}.mlp.project.{p}", _BLOCK + "mlp.4.{p}"),
    ("outputs.{i}.{p}", "fpn_convs.{i}.{p}"),
    ("fusion.conv.weight", "fusion_conv.conv.weight"),
    ("fusion.bn.{norm}", "fusion_conv.bn.{norm}"),
    ("pool.conv.weight", "img_pool.1.conv.weight"),
    ("pool.bn.{norm}", "img_pool.1.bn.{norm}"),
    ("classifier.{p}", "conv_seg.{p}"),
]
