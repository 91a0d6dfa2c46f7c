"""Networks: a backbone and a decoder make a segmentor; ``layers`` are what they are made of.

Losses, weights, metrics, inference and training import it; it knows nothing of data, files or losses.
"""

from src.models.backbones import build_backbone
from src.models.decoders import build_decoder
from src.models.layers.sync_norm import synchronize
from src.models.segmentor import Segmentor
from src.parallel import world_size
from src.schema.model import ModelConfig


def build_model(model_config: ModelConfig, num_classes: int) -> Segmentor:
    """Build the network of a configuration's ``model`` section, freshly initialized.

    The files of ``weights`` are not read here. For reproducible weights and dropout masks call
    ``mindspore.set_seed`` before.
    """
    backbone = build_backbone(**model_config.backbone.model_dump(exclude={"weights"}))
    options = model_config.decoder.model_dump(exclude={"weights"})
    decoder = build_decoder(in_channels=backbone.out_channels, num_classes=num_classes, **options)
    network = Segmentor(backbone, decoder)
    if model_config.norm == "sync" or (model_config.norm == "auto" and world_size() > 1):
        synchronize(network)
    return network
