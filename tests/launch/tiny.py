"""A launcher whose workers train a network of four convolutions under FPN: it compiles and steps fast.

python -m tests.launch.tiny launcher ARGUMENTS OF src.launch
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # msrun starts the workers as a file


def launch():
    """Start the launcher; its workers run this file."""
    from src.launch import __main__ as launcher
    from src.launch import job

    plain = job.command

    def command(*arguments):
        return [str(Path(__file__)) if part == "train.py" else part for part in plain(*arguments)]

    job.command = launcher.command = command
    launcher.run_command(launcher.main)


def work():
    """Train as train.py does, with another network behind the name of ResNet-18, each worker on a core of its own.

    Threads that wait for each other over several cores would make the short steps several times longer.
    """
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(os.environ.get("RANK_ID", 0)) % len(cores)]})
    import train
    from src.models.backbones import BACKBONES
    from tests.models.decoders.base import CHANNELS, STRIDES, TinyBackbone

    def tiny(**_):
        network = TinyBackbone()
        network.out_channels, network.strides, network.any_shape = CHANNELS, STRIDES, True
        return network

    BACKBONES["resnet18"] = tiny
    train.run_command(train.main)


if __name__ == "__main__":
    if sys.argv[1] == "launcher":
        del sys.argv[1]
        launch()
    else:
        work()
