"""MiT-B0 to B5: names of NVIDIA's SegFormer release, mmsegmentation and transformers.

Our names are those of the release with MindSpore's endings. ``attn.kv`` holds the keys, then the values; mmsegmentation
keeps query, key and value in one tensor and the feed-forward layers as 1x1 convolutions.
"""

OFFICIAL = [
    ("patch_embed{s}.proj.{p}", "patch_embed{s}.proj.{p}"),
    ("patch_embed{s}.norm.{norm}", "patch_embed{s}.norm.{norm}"),
    ("block{s}.{b}.norm{k}.{norm}", "block{s}.{b}.norm{k}.{norm}"),
    ("block{s}.{b}.attn.norm.{norm}", "block{s}.{b}.attn.norm.{norm}"),
    ("block{s}.{b}.attn.{any}.{p}", "block{s}.{b}.attn.{any}.{p}"),
    ("block{s}.{b}.mlp.fc{k}.{p}", "block{s}.{b}.mlp.fc{k}.{p}"),
    ("block{s}.{b}.mlp.dwconv.{p}", "block{s}.{b}.mlp.dwconv.dwconv.{p}"),
    ("norm{s}.{norm}", "norm{s}.{norm}"),
]

MMSEG = [
    ("patch_embed{s}.proj.{p}", "layers.{s-1}.0.projection.{p}"),
    ("patch_embed{s}.norm.{norm}", "layers.{s-1}.0.norm.{norm}"),
    ("block{s}.{b}.norm{k}.{norm}", "layers.{s-1}.1.{b}.norm{k}.{norm}"),
    ("block{s}.{b}.attn.q.{p}", "layers.{s-1}.1.{b}.attn.attn.in_proj_{p}[0:1/3]"),
    ("block{s}.{b}.attn.kv.{p}", "layers.{s-1}.1.{b}.attn.attn.in_proj_{p}[1:3/3]"),
    ("block{s}.{b}.attn.proj.{p}", "layers.{s-1}.1.{b}.attn.attn.out_proj.{p}"),
    ("block{s}.{b}.attn.sr.{p}", "layers.{s-1}.1.{b}.attn.sr.{p}"),
    ("block{s}.{b}.attn.norm.{norm}", "layers.{s-1}.1.{b}.attn.norm.{norm}"),
    ("block{s}.{b}.mlp.fc1.{p}", "layers.{s-1}.1.{b}.ffn.layers.0.{p}"),
    ("block{s}.{b}.mlp.dwconv.{p}", "layers.{s-1}.1.{b}.ffn.layers.1.{p}"),
    ("block{s}.{b}.mlp.fc2.{p}", "layers.{s-1}.1.{b}.ffn.layers.4.{p}"),
    ("norm{s}.{norm}", "layers.{s-1}.2.{norm}"),
]

_HF = "encoder.block.{s-1}.{b}."
_HF_SELF = _HF + "attention.self."
HUGGINGFACE = [
    ("patch_embed{s}.proj.{p}", "encoder.patch_embeddings.{s-1}.proj.{p}"),
    ("patch_embed{s}.norm.{norm}", "encoder.patch_embeddings.{s-1}.layer_norm.{norm}"),
    ("block{s}.{b}.norm{k}.{norm}", _HF + "layer_norm_{k}.{norm}"),
    ("block{s}.{b}.attn.q.{p}", _HF_SELF + "query.{p}"),
    ("block{s}.{b}.attn.kv.{p}", f"{_HF_SELF}key.{{p}} + {_HF_SELF}value.{{p}}"),
    ("block{s}.{b}.attn.proj.{p}", _HF + "attention.output.dense.{p}"),
    ("block{s}.{b}.attn.sr.{p}", _HF_SELF + "sr.{p}"),
    ("block{s}.{b}.attn.norm.{norm}", _HF_SELF + "layer_norm.{norm}"),
    ("block{s}.{b}.mlp.fc{k}.{p}", _HF + "mlp.dense{k}.{p}"),
    ("block{s}.{b}.mlp.dwconv.{p}", _HF + "mlp.dwconv.dwconv.{p}"),
    ("norm{s}.{norm}", "encoder.layer_norm.{s-1}.{norm}"),
]
