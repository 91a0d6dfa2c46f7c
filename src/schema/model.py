"""Keys of ``model``."""

from typing import Literal

from src.schema.backbones import BackboneConfig
from src.schema.base import Section
from src.schema.decoders import DecoderConfig


class ModelConfig(Section):
    """Backbone and decoder."""

    norm: Literal["auto", "batch", "sync"] = "auto"
    """Whose statistics batch norm takes in training: `batch` each worker's share of the batch, `sync` the whole batch,
    `auto` the whole batch where there are several workers."""
    backbone: BackboneConfig
    """The network from image to four maps."""
    decoder: DecoderConfig
    """The network from four maps to logits."""
