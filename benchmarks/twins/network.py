"""The network of a configuration's ``model`` section."""

from torch import nn

from twins.cpt import CPT
from twins.csnet import CSNet
from twins.ecenet import ECENet
from twins.efficientnet_lite import EfficientNetLite0
from twins.fcn import FCN, PSP
from twins.fpn import FPN
from twins.layers import resize
from twins.resnet import ResNet18
from twins.swin import SwinTiny

BACKBONES = {"resnet18": ResNet18, "efficientnet_lite0": EfficientNetLite0, "swin_tiny": SwinTiny}
DECODERS = {"fcn": FCN, "psp": PSP, "fpn": FPN, "ecenet": ECENet, "cpt": CPT, "csnet": CSNet}
# Options that a twin has with one value only.
FIXED = {
    "deep_stem": False, "norm_eval": False, "frozen_stages": -1, "pad_before_shift": True, "shift_single_window": False,
    "ghost_upscale": True, "feature_reconstruction": "both", "class_embeddings": "masks", "token_update": True,
    "output": "both", "upscale_init": "random", "mask_supervision": "sum", "source": "prototypes",
    "aggregation": True, "fusion": "residual", "classify_consistent": False,
}  # fmt: skip
FIXED_OF = {"efficientnet_lite0": {"output_stride": 32}}


class Segmentor(nn.Module):
    def __init__(self, backbone: nn.Module, decoder: nn.Module):
        super().__init__()
        self.backbone, self.decoder = backbone, decoder

    def forward(self, image):
        """Image [B, 3, H, W] -> the decoder's outputs; in evaluation logits [B, K, H, W]."""
        outputs = self.decoder(self.backbone(image))
        return outputs if self.training else resize(outputs["logits"], image.shape[2:])


def build_network(config: dict, num_classes: int) -> Segmentor:
    """Build ``config``, the ``model`` section as a dictionary."""
    name, options = _options(config["backbone"])
    backbone = BACKBONES[name](**options)
    name, options = _options(config["decoder"])
    return Segmentor(backbone, DECODERS[name](backbone.out_channels, num_classes, **options))


def _options(section: dict) -> tuple[str, dict]:
    """The name and the options, without those that only say what every twin does."""
    name = section["name"]
    fixed = FIXED | FIXED_OF.get(name, {})
    for option, value in fixed.items():
        if section.get(option, value) != value:
            raise SystemExit(f"{name}: the PyTorch twin has {option} {value} only, not {section[option]}")
    return name, {k: v for k, v in section.items() if k not in ("name", "weights", *fixed)}
