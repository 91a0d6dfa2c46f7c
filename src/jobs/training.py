"""Train a network: data, model, losses, optimizer, loop."""

import signal
from collections.abc import Sequence
from pathlib import Path

import mindspore as ms
from mindspore import nn

from src import device
from src.data.info import IGNORE
from src.data.preparation import ensure_records
from src.data.scale_check import scale_warning
from src.data.summary import summarize
from src.files import check_writable
from src.losses import build_criterion
from src.models import build_model
from src.models.segmentor import Segmentor
from src.parallel import rank
from src.schema import Config
from src.training.run_folder import RunFolder
from src.training.trainer import Trainer
from src.weights.fine_tuning import load_initial


def train(config: Config, output: str | Path, resume: str = "auto") -> signal.Signals | None:
    """Train into the run folder ``output``, or continue the run that is in it; print what happens.

    Args:
        resume: ``auto`` (continue if there is a run), ``never``, or the path of a ``last.ckpt``.

    Returns:
        The signal that stopped it before its end, or None.

    Raises:
        UserError: of every part; nothing is lost that a checkpoint holds.
    """
    target = device.setup(config.device.target, config.device.mode, config.device.native)
    folder = RunFolder(output)
    check_writable(folder.path)
    checkpoint = folder.resume_from(resume, config)
    metadata = ensure_records(config.data)
    if rank() == 0:
        print(summarize(metadata, (config.data.train_split, config.data.val_split)))
        if warning := scale_warning(metadata, config.data):
            print(warning)

    network, criterion = build(config, metadata.classes)
    if not checkpoint:
        load_initial(network, config, metadata.classes)
    trainer = Trainer(config, network, criterion, metadata, folder)
    if checkpoint:
        taken = trainer.resume(checkpoint)
        print(f"resuming {taken} at step {trainer.progress.step}")
    trainer.check_same_start()
    if trainer.progress.step >= config.train.iterations:
        print(f"{folder.path}: already trained to step {trainer.progress.step}; nothing to do")
        return None
    shared = f", shared by {trainer.workers} workers" if trainer.workers > 1 else ""
    steps = f"{config.train.iterations} steps of {config.train.batch_size} images{shared}"
    print(
        f"{describe(config, network)}, {len(metadata.classes)} classes, {steps}, "
        f"{target} in {config.device.mode} mode, into {folder.path}"
    )
    return trainer.run()


def build(config: Config, classes: Sequence[str]) -> tuple[Segmentor, nn.Cell]:
    """The network with its initial values, which ``train.seed`` determines, and the criterion."""
    ms.set_seed(config.train.seed)
    return build_model(config.model, len(classes)), build_criterion(config, len(classes), IGNORE)


def describe(config: Config, network: nn.Cell) -> str:
    """Names of decoder and backbone, and the number of trained parameters."""
    millions = sum(parameter.size for parameter in network.trainable_params()) / 1e6
    return f"{config.model.decoder.name} on {config.model.backbone.name}: {millions:.2f} M parameters"
