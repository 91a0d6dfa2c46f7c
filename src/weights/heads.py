"""Checkpoints with a known decoder: backbone and decoder in one file, or the decoder alone."""

from collections.abc import Mapping

import numpy as np

from src.errors import UserError, listing
from src.models.decoders.class_tokens import POOLS, grid_side

HEAD = "head"  # `--arch` of a decoder without backbone
DECODERS = {"ecenet-release": "ecenet", "cpt": "cpt"}  # source: the decoder in its files
_NORMS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def split(tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the backbone's and the decoder's tensors without their prefixes.

    In a file whose names begin with ``w/`` only those count. MindSpore's names of norms count as PyTorch's.
    """
    if any(name.startswith("w/") for name in tensors):
        tensors = {name[2:]: values for name, values in tensors.items() if name.startswith("w/")}
    named = {}
    for name, values in tensors.items():
        body, _, ending = name.rpartition(".")
        named[f"{body}.{_NORMS[ending]}" if ending in _NORMS else name] = values
    backbone = {n.removeprefix("backbone."): v for n, v in named.items() if n.startswith("backbone.")}
    head = {n.removeprefix("decode_head."): v for n, v in named.items() if n.startswith("decode_head.")}
    if not head and not backbone:
        head = {n: v for n, v in named.items() if not n.startswith("auxiliary_head.")}
    return backbone, head


def backbone_options(arch: str) -> dict[str, object]:
    """Return the options in which these sources' backbone differs from ours: mmsegmentation's Swin."""
    return {"shift_single_window": True} if arch.startswith("swin") else {}


def head_options(source: str, head: Mapping[str, np.ndarray], where: str) -> tuple[list[int], int, dict[str, object]]:
    """Derive the decoder's in_channels, number of classes and options from its tensors.

    Raises:
        UserError: the tensors are not those of the source's decoder.
    """
    return {"ecenet-release": _ecenet_options, "cpt": _cpt_options}[source](head, where)


def _check(head: Mapping[str, np.ndarray], needed: tuple[str, ...], where: str, what: str) -> None:
    missing = [name for name in needed if name not in head or head[name].ndim < 2]
    if missing:
        raise UserError(
            f"{where}: holds no decoder of {what}; it lacks {', '.join(missing[:4])}; its names are:\n"
            f"{listing(list(head) or ['(none)'], limit=5)}"
        )


def _ecenet_options(head: Mapping[str, np.ndarray], where: str) -> tuple[list[int], int, dict[str, object]]:
    needed = (*[f"laterals.{i}.weight" for i in range(4)], "learner.0.weight", "learner.1.weight")
    needed = (*needed, "transfer.0.mlp.0.weight", "token_emb.0.cls_learner.weight")
    _check(head, needed, where, "ECENet's release")
    channels = len(head["laterals.0.weight"])
    classes = len(head["learner.1.weight"])
    cells = head["token_emb.0.cls_learner.weight"].shape[1] - sum(side**2 for side in POOLS)
    side = round(max(cells, 0) ** 0.5)
    options: dict[str, object] = {
        "channels": channels,
        "heads": channels // head["learner.0.weight"].shape[1],
        "mlp_ratio": len(head["transfer.0.mlp.0.weight"]) // channels,
        "query_activation": "relu",
        "ghost_upscale": "ghost_up_layers.0.layers.0.primary.conv.weight" in head,
        "feature_reconstruction": "layer_slcts.0.conv_out.weight" in head,
    }
    if grid_side(classes, 1.0) != side:
        options["token_ratio"] = round(side / classes**0.5 + 0.005, 2)
    return [head[f"laterals.{i}.weight"].shape[1] for i in range(4)], classes, options


def _cpt_options(head: Mapping[str, np.ndarray], where: str) -> tuple[list[int], int, dict[str, object]]:
    attention = "cft_blocks.0.cross_attn.kv."
    needed = (*[f"lateral_convs.{i}.weight" for i in range(4)], attention + "mask_learner.0.weight")
    needed = (*needed, "cft_blocks.0.mlp.0.weight", "img_pool.1.conv.weight", attention + "mask_learner.1.weight")
    _check(head, needed, where, "CPT's public code")
    channels = len(head["lateral_convs.0.weight"])
    options: dict[str, object] = {
        "channels": channels,
        "heads": channels // head[attention + "mask_learner.0.weight"].shape[1],
        "mlp_ratio": len(head["cft_blocks.0.mlp.0.weight"]) // channels,
        "pool_channels": len(head["img_pool.1.conv.weight"]),
    }
    if attention + "memory" not in head:
        options["memory"] = "off"
    in_channels = [head[f"lateral_convs.{i}.weight"].shape[1] for i in range(4)]
    return in_channels, len(head[attention + "mask_learner.1.weight"]), options
