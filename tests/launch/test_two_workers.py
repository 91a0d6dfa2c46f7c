"""Two workers with half of a batch each compute what one does with the whole batch."""

import numpy as np
import pytest

from tests.commands import msrun
from tests.launch import worker


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of the two wrote; they are started once, which takes most of the time."""
    folder = tmp_path_factory.mktemp("workers")
    msrun("tests/launch/worker.py", folder, logs=folder / "logs")
    return [np.load(folder / f"{rank}.npz") for rank in range(2)]


@pytest.mark.parametrize("name", worker.losses())
def test_losses(found, name):
    """Values and gradients of the workers are averaged, as training does."""
    parts, gradient = worker.evaluate(name, 0, worker.BATCH)
    np.testing.assert_allclose(sum(one[f"{name}/parts"] for one in found) / 2, parts, rtol=1e-5)
    halves = np.concatenate([one[f"{name}/gradient"] for one in found]) / 2
    np.testing.assert_allclose(halves, gradient, atol=1e-6)


def check_training(found, name, everything):
    losses, weights = worker.train(name, 0, worker.BATCH, worker.updates_of(name, everything))
    for one in found:
        np.testing.assert_allclose(one[f"{name}/training"], losses, rtol=1e-5)
        for key, value in weights.items():
            np.testing.assert_allclose(one[f"{name}/weights/{key}"], value, atol=1e-4, err_msg=key)
    np.testing.assert_array_equal(found[0][f"{name}/training"], found[1][f"{name}/training"])


@pytest.mark.parametrize("name", worker.METHODS)
def test_training(found, name):
    """Synchronized batch norm, dropout, losses, gradients, clipping, update: as one worker with the whole batch."""
    check_training(found, name, everything=False)


@pytest.mark.slow
def test_twenty_updates_of_every_method(tmp_path):
    msrun("tests/launch/worker.py", tmp_path, "all", logs=tmp_path / "logs")
    found = [np.load(tmp_path / f"{rank}.npz") for rank in range(2)]
    for name in worker.METHODS:
        check_training(found, name, everything=True)


def test_counts_are_summed_exactly(found):
    for one in found:
        assert one["counts"].dtype == np.int64
        np.testing.assert_array_equal(one["counts"], 2 * worker.COUNTS + 1)


def test_prototype_memory(found):
    memory, mixed = worker.remember(0, worker.BATCH)
    for one in found:
        np.testing.assert_allclose(one["memory"], memory, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([one["mixed"] for one in found]), mixed, atol=1e-6)
