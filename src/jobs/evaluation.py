"""Score a checkpoint or an exported file on the validation split."""

from pathlib import Path

from src import device
from src.data.pipeline import EvalPipeline
from src.data.preparation import ensure_records
from src.errors import UserError
from src.inference.evaluator import Result
from src.inference.evaluator import evaluate as score
from src.inference.runner import open_model
from src.parallel import rank, world_size
from src.schema import Config


def evaluate(config: Config, weights: Path) -> Result:
    """Scores by the protocol of the config's section ``eval``; several workers share the images.

    Raises:
        UserError: the split has no labels; or of the data, or of the file.
    """
    device.setup(config.device.target, config.device.mode, config.device.native)
    data, split = config.data, config.data.val_split
    metadata = ensure_records(data, [split])
    facts = metadata.split(split)
    if not facts.labels:
        raise UserError(f"data.val_split: '{split}' has no labels and so no score")
    model = open_model(config, weights, facts.size is not None, metadata.classes)
    samples = EvalPipeline(data.records, split, data, rank(), world_size())
    return score(model.run, samples, metadata.classes, config.eval, str(weights))
