"""The folder of a run whose network has been built but not trained."""

from src.checkpoint import save_checkpoint
from src.config import dump_config, make_config
from src.data.shapes import SHAPES
from src.models import build_model
from tests.conftest import SMALL
from tests.models.small import SMALL_DECODER

META = {"classes": list(SHAPES.classes), "colors": [list(color) for color in SHAPES.colors]}


def write_run(folder, decoder, carried=True):
    """Write ``checkpoints/best.ckpt`` of a small network, with its config inside or, as formerly, beside it."""
    config = make_config(
        {
            **SMALL,
            "data": {**SMALL["data"], "records": str(folder.parent / "records")},
            "model": {
                "backbone": {"name": "efficientnet_lite0"},
                "decoder": {"name": decoder, **SMALL_DECODER[decoder]},
            },
            "device": {"mode": "pynative"},
        }
    )
    network = build_model(config.model, len(SHAPES.classes))
    meta = {**META, "step": 6, "mIoU": 12.5}
    save_checkpoint(
        folder / "checkpoints" / "best.ckpt", network, {**meta, "config": config.model_dump()} if carried else meta
    )
    (folder / "config.yaml").write_text(dump_config(config))
    return folder
