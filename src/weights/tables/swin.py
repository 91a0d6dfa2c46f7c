"""Swin-T/S/B/L: names of Microsoft's release, timm, mmsegmentation, transformers, torchvision and MindCV.

Our names are those of Microsoft's release with MindSpore's endings. Classification weights have no ``norm0`` to
``norm3``: these keep their initial values, as in the release's own fine-tuning for segmentation.
All but mmsegmentation concatenate the four merged patches in the same order (see ``rules.unfold_order``).
"""

_BLOCK = [
    ("layers.{s}.blocks.{b}.norm{k}.{norm}", "layers.{s}.blocks.{b}.norm{k}.{norm}"),
    (
        "layers.{s}.blocks.{b}.attn.relative_position_bias_table",
        "layers.{s}.blocks.{b}.attn.relative_position_bias_table",
    ),
    ("layers.{s}.blocks.{b}.attn.qkv.{p}", "layers.{s}.blocks.{b}.attn.qkv.{p}"),
    ("layers.{s}.blocks.{b}.attn.proj.{p}", "layers.{s}.blocks.{b}.attn.proj.{p}"),
    ("layers.{s}.blocks.{b}.mlp.fc{k}.{p}", "layers.{s}.blocks.{b}.mlp.fc{k}.{p}"),
]

OFFICIAL = [
    ("patch_embed.proj.{p}", "patch_embed.proj.{p}"),
    ("patch_embed.norm.{norm}", "patch_embed.norm.{norm}"),
    *_BLOCK,
    ("layers.{s}.downsample.norm.{norm}", "layers.{s}.downsample.norm.{norm}"),
    ("layers.{s}.downsample.reduction.weight", "layers.{s}.downsample.reduction.weight"),
    ("norm{k}.{norm}", "norm{k}.{norm}"),
]

# Since timm 0.9 patches are merged at the start of a stage. (Files of older versions are `official` ones.)
TIMM = [
    ("patch_embed.proj.{p}", "patch_embed.proj.{p}"),
    ("patch_embed.norm.{norm}", "patch_embed.norm.{norm}"),
    *_BLOCK,
    ("layers.{s}.downsample.norm.{norm}", "layers.{s+1}.downsample.norm.{norm}"),
    ("layers.{s}.downsample.reduction.weight", "layers.{s+1}.downsample.reduction.weight"),
]

MMSEG = [
    ("patch_embed.proj.{p}", "patch_embed.projection.{p}"),
    ("patch_embed.norm.{norm}", "patch_embed.norm.{norm}"),
    ("layers.{s}.blocks.{b}.norm{k}.{norm}", "stages.{s}.blocks.{b}.norm{k}.{norm}"),
    (
        "layers.{s}.blocks.{b}.attn.relative_position_bias_table",
        "stages.{s}.blocks.{b}.attn.w_msa.relative_position_bias_table",
    ),
    ("layers.{s}.blocks.{b}.attn.{any}.{p}", "stages.{s}.blocks.{b}.attn.w_msa.{any}.{p}"),
    ("layers.{s}.blocks.{b}.mlp.fc1.{p}", "stages.{s}.blocks.{b}.ffn.layers.0.0.{p}"),
    ("layers.{s}.blocks.{b}.mlp.fc2.{p}", "stages.{s}.blocks.{b}.ffn.layers.1.{p}"),
    ("layers.{s}.downsample.norm.{norm}", "stages.{s}.downsample.norm.{norm}", "unfold_order"),
    ("layers.{s}.downsample.reduction.weight", "stages.{s}.downsample.reduction.weight", "unfold_order"),
    ("norm{k}.{norm}", "norm{k}.{norm}"),
]

_HF = "encoder.layers.{s}.blocks.{b}."
_HF_SELF = _HF + "attention.self."
HUGGINGFACE = [
    ("patch_embed.proj.{p}", "embeddings.patch_embeddings.projection.{p}"),
    ("patch_embed.norm.{norm}", "embeddings.norm.{norm}"),
    ("layers.{s}.blocks.{b}.norm1.{norm}", _HF + "layernorm_before.{norm}"),
    ("layers.{s}.blocks.{b}.norm2.{norm}", _HF + "layernorm_after.{norm}"),
    ("layers.{s}.blocks.{b}.attn.relative_position_bias_table", _HF_SELF + "relative_position_bias_table"),
    ("layers.{s}.blocks.{b}.attn.qkv.{p}", f"{_HF_SELF}query.{{p}} + {_HF_SELF}key.{{p}} + {_HF_SELF}value.{{p}}"),
    ("layers.{s}.blocks.{b}.attn.proj.{p}", _HF + "attention.output.dense.{p}"),
    ("layers.{s}.blocks.{b}.mlp.fc1.{p}", _HF + "intermediate.dense.{p}"),
    ("layers.{s}.blocks.{b}.mlp.fc2.{p}", _HF + "output.dense.{p}"),
    ("layers.{s}.downsample.norm.{norm}", "encoder.layers.{s}.downsample.norm.{norm}"),
    ("layers.{s}.downsample.reduction.weight", "encoder.layers.{s}.downsample.reduction.weight"),
    ("norm{k}.{norm}", "hidden_states_norms.stage{k+1}.{norm}"),  # SwinBackbone
]

# One sequence of embedding, stage, merging, stage, ...: stage s is number 2 s + 1.
TORCHVISION = [
    ("patch_embed.proj.{p}", "features.0.0.{p}"),
    ("patch_embed.norm.{norm}", "features.0.2.{norm}"),
]
for _stage, _number in enumerate((1, 3, 5, 7)):
    _ours, _theirs = f"layers.{_stage}.", f"features.{_number}."
    _merging = f"features.{_number + 1}."
    TORCHVISION += [
        (_ours + "blocks.{b}.norm{k}.{norm}", _theirs + "{b}.norm{k}.{norm}"),
        (
            _ours + "blocks.{b}.attn.relative_position_bias_table",
            _theirs + "{b}.attn.relative_position_bias_table",
        ),
        (_ours + "blocks.{b}.attn.{any}.{p}", _theirs + "{b}.attn.{any}.{p}"),
        (_ours + "blocks.{b}.mlp.fc1.{p}", _theirs + "{b}.mlp.0.{p}"),
        (_ours + "blocks.{b}.mlp.fc2.{p}", _theirs + "{b}.mlp.3.{p}"),
        (_ours + "downsample.norm.{norm}", _merging + "norm.{norm}"),
        (_ours + "downsample.reduction.weight", _merging + "reduction.weight"),
    ]

# MindSpore's names of cells in nested lists: stage 0 is "0.", the others are "0.blocks.S.".
MINDCV = [
    ("patch_embed.proj.{p}", "patch_embed.proj.{p}"),
    ("patch_embed.norm.{any}", "patch_embed.norm.{any}"),
]
for _ours, _theirs in (("layers.0.", "0."), ("layers.{s}.", "0.blocks.{s}.")):
    _attention = _theirs + "blocks.{b}.attn."
    MINDCV += [
        (_ours + "blocks.{b}.norm{k}.{any}", _theirs + "blocks.{b}.norm{k}.{any}"),
        (
            _ours + "blocks.{b}.attn.relative_position_bias_table",
            _attention + "relative_bias.relative_position_bias_table",
        ),
        (_ours + "blocks.{b}.attn.qkv.{p}", f"{_attention}q.{{p}} + {_attention}k.{{p}} + {_attention}v.{{p}}"),
        (_ours + "blocks.{b}.attn.proj.{p}", _attention + "proj.{p}"),
        (_ours + "blocks.{b}.mlp.fc{k}.{p}", _theirs + "blocks.{b}.mlp.fc{k}.{p}"),
        (_ours + "downsample.norm.{any}", _theirs + "downsample.norm.{any}"),
        (_ours + "downsample.reduction.weight", _theirs + "downsample.reduction.weight"),
    ]
