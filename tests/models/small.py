"""Small networks for all tests: decoders of few channels, backbones of few blocks."""

from src.models.backbones import BACKBONES
from src.schema.options import complete

SMALL_DECODER = {  # decoder: its options
    "fpn": {"channels": 8},
    "fcn": {"channels": 8, "auxiliary_channels": 6},
    "psp": {"channels": 8, "auxiliary_channels": 6},
    "ecenet": {"channels": 8, "heads": 2},
    "cpt": {"channels": 8, "heads": 2, "mlp_ratio": 2, "pool_channels": 6},
    "csnet": {"channels": 8, "cs_channels": 6, "auxiliary_channels": 7},
}
BACKBONE_OF_EACH_FAMILY = ("resnet18", "swin_tiny", "mit_b0", "efficientnet_lite0")
_DEPTHS = {"swin_tiny": (1, 2, 1, 1), "mit_b0": (1, 1, 1, 1)}


def small_backbone(name, **options):
    """The backbone with fewer blocks where it can have them, which saves compilation."""
    depths = {"depths": _DEPTHS[name]} if name in _DEPTHS else {}
    return BACKBONES[name](**depths, **complete("backbone", name, options))


def no_drop_path(name):
    """Options without drop path: a branch that is dropped for all samples has no gradient."""
    return {} if name.startswith("resnet") else {"drop_path": 0.0}
