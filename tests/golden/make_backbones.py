"""Make backbones.npz: samples of the stage outputs of timm's and transformers' backbones, in float64.

    python tests/golden/make_backbones.py

Needs torch, timm and transformers, which the tests themselves do not. Made with torch 2.13, timm 1.0.31 and
transformers 4.46. Weights and images come from ``formula``. An entry ``CASE/HxW/I`` is the sample of stage I,
``CASE/HxW/std`` the standard deviations of the four whole maps, and ``CASE/parameters`` the number of parameters.
``CASE/gradient/NAME`` is a sample of a parameter's gradient of the sum over the stages of mean(f^3) + mean(f), in
evaluation mode: batch statistics of so few pixels magnify fp32 rounding until ReLUs fall on the other side.
"""

from pathlib import Path

import formula
import numpy as np
import torch

# A torchvision without its compiled operators is enough for importing timm.
LIBRARY = torch.library.Library("torchvision", "DEF")
try:
    LIBRARY.define("nms(Tensor d, Tensor s, float t) -> Tensor")
    LIBRARY.define("qnms(Tensor d, Tensor s, float t) -> Tensor")
except RuntimeError:
    pass
import timm  # noqa: E402
import transformers  # noqa: E402
from timm.models.swin_transformer import window_partition, window_reverse  # noqa: E402

SIZES = ((224, 224), (200, 264))
MIT = {"mit_b0": ((32, 64, 160, 256), (2, 2, 2, 2)), "mit_b2": ((64, 128, 320, 512), (3, 4, 6, 3))}


def fill(model: torch.nn.Module) -> None:
    """Give every parameter and buffer its formula's value; timm's feature wrapper writes layers_0 for layers.0."""
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            name = name.replace("layers_", "layers.")
            value.copy_(torch.from_numpy(formula.weight(name, tuple(value.shape))))


def timm_pyramid(name: str, **options):
    """A convolutional network of timm with the maps at strides 4 to 32."""

    def make(size):
        model = timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4), **options)
        return model, lambda image: model(image)

    return make


def padded_first(block, x: torch.Tensor) -> torch.Tensor:
    """mmsegmentation's order in a timm block: pad, roll, attend, roll back, crop."""
    _, height, width, channels = x.shape
    (rows, columns), (up, left) = block.window_size, block.shift_size
    x = torch.nn.functional.pad(x, (0, 0, 0, -width % columns, 0, -height % rows))
    _, full_height, full_width, _ = x.shape
    x = torch.roll(x, (-up, -left), (1, 2))
    windows = window_partition(x, block.window_size).view(-1, rows * columns, channels)
    windows = block.attn(windows, mask=block.get_attn_mask(x))
    x = window_reverse(windows.view(-1, rows, columns, channels), block.window_size, full_height, full_width)
    return torch.roll(x, (up, left), (1, 2))[:, :height, :width]


def swin(name: str, window: int, pad_first: bool, always: bool, **options):
    """timm's Swin with a layer norm per stage; ``always``: shift also where one window covers the map."""

    def make(size):
        base = f"swin_{name}_patch4_window{window}_{'384' if window == 12 else '224'}"
        # Without `always_partition` timm would shrink a window to a smaller map, and its table with it.
        partition = always or -(-min(size) // 32) < window
        model = timm.create_model(base, features_only=True, img_size=size, always_partition=partition, **options)
        widths = model.feature_info.channels()
        norms = torch.nn.ModuleDict({f"norm{i}": torch.nn.LayerNorm(width) for i, width in enumerate(widths)})
        for module in model.modules():
            if hasattr(module, "shift_size"):
                if not always:  # timm's rule, which it applies itself without `always_partition`
                    sides = zip(module.input_resolution, module.window_size, module.shift_size, strict=True)
                    module.shift_size = tuple(s if side > w else 0 for side, w, s in sides)
                    module.attn_mask = module.get_attn_mask(dtype=torch.float64)
                if pad_first:
                    module._attn = padded_first.__get__(module)
        whole = torch.nn.Module()
        whole.model, whole.norms = model, norms
        fill(norms)

        def run(image):
            return [norms[f"norm{i}"](feature).permute(0, 3, 1, 2) for i, feature in enumerate(model(image))]

        return whole, run

    return make


def segformer(name: str, **options):
    """The encoder of transformers' SegFormer."""

    def make(size):
        widths, depths = MIT[name]
        config = transformers.SegformerConfig(**{"hidden_sizes": widths, "depths": depths, **options})
        model = transformers.SegformerModel(config)
        return model, lambda image: model(image, output_hidden_states=True).hidden_states

    return make


CASES = {
    "resnet18": timm_pyramid("resnet18"),
    "resnet50": timm_pyramid("resnet50"),
    "resnet101": timm_pyramid("resnet101"),
    "resnet18_os16": timm_pyramid("resnet18", output_stride=16),
    "resnet50_deep_os8": timm_pyramid("resnet50c", output_stride=8),
    "efficientnet_lite0": timm_pyramid("tf_efficientnet_lite0"),
    "swin_tiny": swin("tiny", 7, pad_first=True, always=False),
    "swin_tiny_timm": swin("tiny", 7, pad_first=False, always=False),
    "swin_tiny_mmseg": swin("tiny", 7, pad_first=True, always=True),
    "swin_base_timm": swin("base", 7, pad_first=False, always=False),
    "swin_base_window12": swin("base", 12, pad_first=True, always=False),
    "swin_base_window12_timm": swin("base", 12, pad_first=False, always=True),
    "mit_b0": segformer("mit_b0"),
    "mit_b2": segformer("mit_b2"),
}
GRADIENT_SIZE = (72, 104)
GRADIENT_CASES = {
    "resnet18": timm_pyramid("resnet18"),
    "swin_tiny": swin("tiny", 7, pad_first=True, always=False, depths=(1, 2, 1, 1), drop_path_rate=0.0),
    "mit_b0": segformer(
        "mit_b0",
        depths=(1, 1, 1, 1),
        drop_path_rate=0.0,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    ),
    "efficientnet_lite0": timm_pyramid("tf_efficientnet_lite0"),
}


def gradients(entries: dict[str, np.ndarray]) -> None:
    """Add the samples of the gradients, two images at one size."""
    for case, make in GRADIENT_CASES.items():
        model, run = make(GRADIENT_SIZE)
        fill(getattr(model, "model", model))
        model.double().eval()
        features = run(torch.from_numpy(formula.image(*GRADIENT_SIZE, batch=2)).double())
        sum((feature**3).mean() + feature.mean() for feature in features).backward()
        for name, parameter in model.named_parameters():
            name = name.replace("layers_", "layers.").removeprefix("model.").removeprefix("norms.")
            entries[f"{case}/gradient/{name}"] = formula.sample_gradient(parameter.grad.numpy())


@torch.no_grad()
def outputs(entries: dict[str, np.ndarray]) -> None:
    """Add the samples of every case at every size."""
    for case, make in CASES.items():
        for size in SIZES:
            model, run = make(size)
            fill(getattr(model, "model", model))
            model.double().eval()
            features = [feature.numpy() for feature in run(torch.from_numpy(formula.image(*size)).double())]
            key = f"{case}/{size[0]}x{size[1]}"
            entries[f"{key}/std"] = np.array([feature.std() for feature in features])
            entries.update({f"{key}/{i}": formula.sample(feature) for i, feature in enumerate(features)})
            entries[f"{case}/parameters"] = np.array(sum(p.numel() for p in model.parameters()))
            print(key, [f.shape[1:] for f in features], entries[f"{key}/std"], entries[f"{case}/parameters"])


def main() -> None:
    """Write the file."""
    entries: dict[str, np.ndarray] = {}
    outputs(entries)
    gradients(entries)
    np.savez_compressed(Path(__file__).with_name("backbones.npz"), **entries)


if __name__ == "__main__":
    main()
