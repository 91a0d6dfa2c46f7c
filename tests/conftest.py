"""Shared by all tests: the project on the path, graph mode on CPU as the rule, a small data set and config."""

import src  # noqa: F401  (sets the environment before mindspore is imported)

import mindspore as ms  # isort: skip
import pytest
import yaml

from src import device

SMALL = {
    "data": {
        "name": "shapes",
        "crop": [64, 64],
        "shapes": {"train": 24, "val": 6, "size": [64, 64], "seed": 0},
        "train_transforms": [{"name": "random_flip"}, {"name": "normalize"}],
    },
    "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": "fpn", "channels": 16}},
    "optimizer": {"name": "adamw", "lr": 1e-3},
    "train": {"iterations": 6, "batch_size": 4, "checkpoint_every": 2, "log_every": 1, "eval_every": 3},
}
# Files that take a minute or more, longest first: started first, two processes end at about the same time.
ms.set_device("CPU")
device.start_native("auto")  # as train.py and eval.py do

LONG = ("test_training.py", "test_two_workers.py", "test_launch.py", "test_commands.py", "test_ecenet.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(autouse=True)
def graph_mode_on_cpu():
    """Every test starts in graph mode on CPU with the same seed, whatever the one before did."""
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.set_device("CPU")
    device.settle_pynative()
    ms.set_seed(0)
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.fixture(params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def mode(request):
    """Run the test in both execution modes."""
    ms.set_context(mode=request.param)
    return request.param


@pytest.fixture(scope="session")
def small_config(tmp_path_factory):
    """A config file of a tiny experiment; its records are made once by the first test that needs them."""
    folder = tmp_path_factory.mktemp("small")
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({**SMALL, "data": {**SMALL["data"], "records": str(folder / "records")}}))
    return path
