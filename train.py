"""Train a segmentor: data, model, losses, optimizer, loop.

python train.py --config config/fpn_resnet18_camvid.yaml --set data.root=CamVid
"""

import argparse
import sys
from pathlib import Path

from src.config import dump_config, load_config
from src.errors import run_command
from src.files import check_writable


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a segmentor.")
    parser.add_argument("--config", required=True, metavar="FILE", help="experiment in YAML")
    parser.add_argument("--output", metavar="DIR", help="run folder (default: runs/<config name>)")
    parser.add_argument(
        "--resume", default="auto", metavar="auto|never|FILE",
        help="auto (default): continue the run in the folder if there is one; FILE: continue from a last.ckpt",
    )  # fmt: skip
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--print-config", action="store_true", help="print the resolved config and stop")
    return parser.parse_args()


def main() -> None:
    """Build everything from the config and run the loop."""
    arguments = parse_arguments()
    config = load_config(arguments.config, arguments.set)
    if arguments.print_config:
        print(dump_config(config), end="")
        return

    import mindspore as ms

    from src import device
    from src.data.info import IGNORE
    from src.data.preparation import ensure_records
    from src.data.scale_check import scale_warning
    from src.data.summary import summarize
    from src.losses import build_criterion
    from src.models import build_model
    from src.parallel import rank
    from src.training.run_folder import RunFolder
    from src.training.trainer import Trainer
    from src.weights.fine_tuning import load_initial

    target = device.setup(config.device.target, config.device.mode, config.device.native)
    folder = RunFolder(arguments.output or f"runs/{Path(arguments.config).stem}")
    check_writable(folder.path)
    checkpoint = folder.resume_from(arguments.resume, config)
    metadata = ensure_records(config.data)
    if rank() == 0:
        print(summarize(metadata, (config.data.train_split, config.data.val_split)))
        if warning := scale_warning(metadata, config.data):
            print(warning)

    ms.set_seed(config.train.seed)
    network = build_model(config.model, len(metadata.classes))
    criterion = build_criterion(config, len(metadata.classes), IGNORE)
    if not checkpoint:
        load_initial(network, config, metadata.classes)

    trainer = Trainer(config, network, criterion, metadata, folder)
    if checkpoint:
        taken = trainer.resume(checkpoint)
        print(f"resuming {taken} at step {trainer.progress.step}")
    trainer.check_same_start()
    if trainer.progress.step >= config.train.iterations:
        print(f"{folder.path}: already trained to step {trainer.progress.step}; nothing to do")
        return
    shared = f", shared by {trainer.workers} workers" if trainer.workers > 1 else ""
    millions = sum(parameter.size for parameter in network.trainable_params()) / 1e6
    steps = f"{config.train.iterations} steps of {config.train.batch_size} images{shared}"
    print(
        f"{config.model.decoder.name} on {config.model.backbone.name}: {millions:.2f} M parameters, "
        f"{len(metadata.classes)} classes, {steps}, {target} in {config.device.mode} mode, into {folder.path}"
    )
    sys.exit(trainer.run())


if __name__ == "__main__":
    run_command(main)
