"""The known sources of weights: the prefixes of their backbones, and the table with their names."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.weights.rules import Origin, find_origin
from src.weights.tables import cpt, ecenet, efficientnet_lite, mix_transformer, resnet, swin

# Parts of a file that are not backbone weights: heads, their norms, counters, computed indices, random states.
_LEFT_OUT = re.compile(
    r"""(.*\.)?num_batches_tracked | (.*\.)?relative_position_index | (.*\.)?attn_mask
    | (.*\.)?relative_bias\.index | (.*\.)?state
    | (head|fc|_fc|classifier|pooler|decode_head|decoder|auxiliary_head)\..*
    | (norm|layernorm)\.(weight|bias|gamma|beta)
    | (conv_head|_conv_head|bn2|_bn1)\..*""",
    re.VERBOSE,
)

# Networks that share most names with a backbone but are not it: (family, a name of theirs, what it is).
_OTHERS = [
    ("resnet", r"layer\d\.\d+\.downsample\.2\..*", "a ResNet-D (average pooling in the shortcuts, such as resnet50d)"),
    ("resnet", r"layer\d\.\d+\.se\..*", "a ResNet with squeeze-excitation"),
    ("swin", r".*(logit_scale|cpb_mlp|continuous_position_bias_mlp).*", "a Swin V2"),
    ("swin", r"absolute_pos_embed|embeddings\.position_embeddings", "a Swin with absolute position embedding"),
]


@dataclass(frozen=True)
class Source:
    """One program.

    Attributes:
        tables: rows (see ``rules``) by architecture family; None where the names are already ours.
        prefixes: possible prefixes of the backbone's names; the first that occurs counts.
    """

    tables: Mapping[str, list[tuple]] | None
    prefixes: tuple[str, ...] = ()

    def covers(self, arch: str) -> bool:
        """Tell whether there is a table for the backbone ``arch``."""
        return self.tables is None or family(arch) in self.tables

    def strip(self, tensors: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return the backbone's tensors without their prefix and the names of all others."""
        for prefix in self.prefixes:
            if any(name.startswith(prefix) for name in tensors):
                inside = {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
                return inside, [name for name in tensors if not name.startswith(prefix)]
        return dict(tensors), []

    def find(self, arch: str, name: str, tensors: Mapping[str, Any]) -> Origin | None:
        """Find where our parameter ``name`` comes from; ``tensors`` have no prefix any more."""
        if self.tables is None:
            return Origin((name,), None, None) if name in tensors else None
        return find_origin(self.tables[family(arch)], name, tensors)

    @staticmethod
    def is_left_out(name: str) -> bool:
        """Tell whether a tensor is by design not part of a backbone."""
        return _LEFT_OUT.fullmatch(name) is not None

    @staticmethod
    def refusal(arch: str, names: Iterable[str]) -> str | None:
        """Say which other network the names belong to, if any."""
        for kind, pattern, what in _OTHERS:
            if kind == family(arch) and any(re.fullmatch(pattern, name) for name in names):
                return f"holds {what}, which is not the network of {arch}"
        return None


# A file that suits several sources counts as the first one's.
SOURCES = {
    "own": Source(None, ("backbone.",)),
    "torchvision": Source({"resnet": resnet.TORCHVISION, "swin": swin.TORCHVISION}),
    "timm": Source(
        {"resnet": resnet.TIMM, "swin": swin.TIMM, "efficientnet": efficientnet_lite.TIMM}, ("model.", "encoder.")
    ),
    "mmseg": Source({"resnet": resnet.MMSEG, "swin": swin.MMSEG, "mit": mix_transformer.MMSEG}, ("backbone.",)),
    "official": Source({"swin": swin.OFFICIAL, "mit": mix_transformer.OFFICIAL}, ("backbone.",)),
    "huggingface": Source(
        {"resnet": resnet.HUGGINGFACE, "swin": swin.HUGGINGFACE, "mit": mix_transformer.HUGGINGFACE},
        ("model.pixel_level_module.encoder.", "segformer.", "swin.", "resnet.", "backbone."),
    ),
    "mindcv": Source({"resnet": resnet.MINDCV, "swin": swin.MINDCV}),
    "efficientnet-lite": Source({"efficientnet": efficientnet_lite.EFFICIENTNET_LITE}),
    # Of these two's files ``heads`` makes backbone and decoder.
    "ecenet-release": Source({"ecenet": ecenet.RELEASE}),
    "cpt": Source({"cpt": cpt.CODE}),
}


def family(arch: str) -> str:
    """Return the family of a backbone's name: ``swin_tiny`` -> ``swin``, ``resnet50`` -> ``resnet``."""
    return re.split(r"[^a-z]", arch, maxsplit=1)[0]


def detect(arch: str, tensors: Mapping[str, np.ndarray], target: Mapping[str, tuple[int, ...]]) -> str:
    """Return the source whose table finds the largest share of the backbone in ``tensors``."""

    def found(name: str) -> int:
        source = SOURCES[name]
        inside, _ = source.strip(tensors)
        return sum(int(np.prod(shape)) for ours, shape in target.items() if source.find(arch, ours, inside))

    return max((name for name, source in SOURCES.items() if source.covers(arch)), key=found)
