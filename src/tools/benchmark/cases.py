"""What is compared with PyTorch: configurations of this project with a few keys changed."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]  # of the checkout


@dataclass(frozen=True)
class Case:
    """A configuration, and what of it is measured: one of ``src.tools.benchmark.steps.STEPS``."""

    config: Path
    overrides: tuple[str, ...] = ()
    part: str = "train-step"


_RESNET18 = ROOT / "config" / "fpn_resnet18_camvid.yaml"
_EFFNET = ROOT / "config" / "fpn_effnet_lite0_camvid.yaml"

CASES = {
    "fpn-resnet18": Case(_RESNET18),
    "fpn-effnet": Case(_EFFNET, ("model.decoder.channels=128",)),
    "ecenet-resnet18": Case(_RESNET18, ("model.decoder.name=ecenet", "model.decoder.channels=128")),
    "cpt-resnet18": Case(_RESNET18, ("model.decoder.name=cpt", "model.decoder.channels=128")),
    "csnet-resnet18": Case(
        _RESNET18,
        (
            "model.backbone.output_stride=8",
            "model.decoder.name=csnet",
            "model.decoder.channels=512",
            "train.batch_size=4",
        ),
    ),
    "fpn-swin-tiny": Case(_RESNET18, ("model.backbone.name=swin_tiny", "train.batch_size=2")),
    "eval-camvid": Case(_RESNET18, (), "evaluate"),
}
# Of eval-camvid without data.root: scenes of CamVid's size. (Another data.name starts the section afresh.)
SCENES = (
    "data.name=shapes",
    "data.crop=[352,352]",
    "data.shapes.train=1",
    "data.shapes.val=24",
    "data.shapes.size=[360,480]",
)
