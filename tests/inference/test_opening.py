"""Which file and which config a user means."""

import shutil

import pytest

from src.errors import UserError
from src.inference.opening import find_config, find_weights, run_name
from tests.untrained import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("opening") / "trained", "fpn")


def test_a_run_folder_stands_for_its_best_checkpoint(run, tmp_path):
    best = run / "checkpoints" / "best.ckpt"
    assert find_weights(run) == find_weights(best) == best
    names = [run_name(path) for path in (best, run / "model.mindir", tmp_path / "model.ckpt")]
    assert names == ["trained", "trained", "model"]
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match="not a run folder"):
        find_weights(tmp_path)
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert find_weights(tmp_path).name == "last.ckpt"


def test_the_config_travels_inside_and_overrides_apply(run, tmp_path):
    moved = shutil.copy(run / "checkpoints" / "best.ckpt", tmp_path / "moved.ckpt")
    config = find_config(moved, overrides=["eval.flip=true"])
    assert config.model.backbone.name == "efficientnet_lite0" and config.eval.flip
    with pytest.raises(UserError, match=f"config inside {moved}|--set"):
        find_config(moved, overrides=["eval.flop=true"])


def test_a_given_config_wins(run, small_config):
    best = run / "checkpoints" / "best.ckpt"
    assert find_config(best, small_config).model.backbone.name == "resnet18"


def test_checkpoints_of_earlier_versions(tmp_path):
    run = write_run(tmp_path / "old", "fpn", carried=False)
    best = run / "checkpoints" / "best.ckpt"
    assert find_config(best).model.decoder.name == "fpn"  # from config.yaml
    moved = shutil.move(best, tmp_path / "moved.ckpt")
    with pytest.raises(UserError, match="carries no config .*add --config FILE"):
        find_config(moved)
