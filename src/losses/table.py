"""Which decoder is trained with which losses, and how a loss is built from its entries of ``losses``."""

from collections.abc import Sequence

from src.errors import UserError
from src.losses.consistency import Consistency
from src.losses.cross_entropy import CrossEntropy
from src.losses.diversity import DiversityLoss
from src.losses.focal import Focal
from src.losses.lovasz import Lovasz
from src.losses.mask import MaskLoss
from src.losses.outputs import LogitsLoss, MapLoss
from src.losses.region_dice import RegionDice
from src.schema.decoders import CSNetConfig, DecoderConfig
from src.schema.losses import (
    AuxiliaryConfig,
    ConsistencyConfig,
    ConsistentCrossEntropyConfig,
    CrossEntropyConfig,
    DiceConfig,
    DiversityConfig,
    FocalConfig,
    LossesConfig,
    LovaszConfig,
    MaskConfig,
    RegionDiceConfig,
)

# decoder: its losses, in the order in which they are logged
LOSSES = {
    "fpn": ("ce",),
    "fcn": ("ce", "aux"),
    "psp": ("ce", "aux"),
    "ecenet": ("ce", "masks", "diversity"),
    "cpt": ("ce", "masks"),
    "csnet": ("ce", "aux", "consistent_ce", "consistency"),
}
OPTIONAL = ("consistency", "region_dice", "lovasz", "focal")  # of any decoder whose configuration asks for it


def losses_of(decoder: DecoderConfig) -> tuple[str, ...]:
    """The losses of a decoder with its options, in the order in which they are logged."""
    absent: list[str] = []
    if isinstance(decoder, CSNetConfig):
        absent += ["aux"] if decoder.base == "fpn" else []
        absent += [] if decoder.classify_consistent else ["consistent_ce"]
    return tuple(loss for loss in LOSSES[decoder.name] if loss not in absent)


def _ce(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.ce or CrossEntropyConfig()
    weights, ohem = _class_weights("ce", section, num_classes), section.ohem
    mining = () if ohem is None else (ohem.threshold, ohem.min_kept)
    return LogitsLoss(outputs.index("logits"), CrossEntropy(ignore_index, weights, *mining)), {"ce": section.weight}


def _aux(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.aux or AuxiliaryConfig()
    return LogitsLoss(outputs.index("auxiliary"), CrossEntropy(ignore_index)), {"aux": section.weight}


def _consistent_ce(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.consistent_ce or ConsistentCrossEntropyConfig()
    cell = LogitsLoss(outputs.index("consistent_logits"), CrossEntropy(ignore_index))
    return cell, {"consistent_ce": section.weight}


def _masks(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    mask, dice = config.mask or MaskConfig(), config.dice or DiceConfig()
    loss = MaskLoss(num_classes, ignore_index, mask.ignore_as_negative)
    return MapLoss(outputs.index("masks"), loss), {"mask": mask.weight, "dice": dice.weight}


def _diversity(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.diversity or DiversityConfig()
    cell = DiversityLoss(outputs.index("diversity"), outputs.index("diverse_channels"))
    return cell, {"diversity": section.weight}


def _consistency(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.consistency or ConsistencyConfig()
    if num_classes < 2:
        raise UserError(f"losses.consistency: found {num_classes} class, expected at least 2 to keep apart")
    loss = Consistency(num_classes, ignore_index, **section.model_dump(exclude={"weight", "ramp"}))
    cell = MapLoss(outputs.index("consistent" if "consistent" in outputs else "features"), loss)
    return cell, {"intra": section.weight, "inter": section.weight}


def _region_dice(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.region_dice or RegionDiceConfig()
    cell = LogitsLoss(outputs.index("logits"), RegionDice(num_classes, ignore_index))
    return cell, {"region_dice": section.weight}


def _lovasz(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.lovasz or LovaszConfig()
    cell = LogitsLoss(outputs.index("logits"), Lovasz(num_classes, ignore_index, section.scope))
    return cell, {"lovasz": section.weight}


def _focal(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.focal or FocalConfig()
    loss = Focal(ignore_index, _class_weights("focal", section, num_classes), section.gamma)
    return LogitsLoss(outputs.index("logits"), loss), {"focal": section.weight}


def _class_weights(name: str, section: CrossEntropyConfig | FocalConfig, num_classes: int) -> list[float] | None:
    weights = section.class_weights
    if weights is not None and len(weights) != num_classes:
        found = f"found {len(weights)} numbers, expected {num_classes}, one per class"
        raise UserError(f"losses.{name}.class_weights: {found}")
    return weights


# loss: the entries of the configuration's ``losses`` that it reads, and its builder, which returns the cell and the
# weight of each part
BUILDERS = {
    "ce": (("ce",), _ce),
    "aux": (("aux",), _aux),
    "consistent_ce": (("consistent_ce",), _consistent_ce),
    "masks": (("mask", "dice"), _masks),
    "diversity": (("diversity",), _diversity),
    "consistency": (("consistency",), _consistency),
    "region_dice": (("region_dice",), _region_dice),
    "lovasz": (("lovasz",), _lovasz),
    "focal": (("focal",), _focal),
}
