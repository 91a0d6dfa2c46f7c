"""Runs as a report reads them from their folders."""

import json
from pathlib import Path

import pytest

from src.errors import UserError
from src.report.runs import MOST_POINTS, TRAINING, read_runs, short_names
from tests.report.runs import CLASSES, write_evaluation, write_training


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/r/one"], ["one"]),
        (["/r/one", "/r/two"], ["one", "two"]),
        (["/r/one/seed_0", "/r/two/seed_0"], ["one", "two"]),
        (["/r/one/seed_0", "/r/two/seed_1"], ["one/seed_0", "two/seed_1"]),
        (["/r/one", "/r/one/eval"], ["one", "eval"]),
        (["/r/b/b", "/r/b"], ["/r/b/b", "/r/b"]),
    ],
)
def test_short_names_tell_folders_apart(paths, names):
    assert short_names([Path(path) for path in paths]) == names


def test_training_and_evaluation(small_config, tmp_path):
    folder = write_training(tmp_path / "run", small_config, [2.0, 1.0])
    write_evaluation(folder, small_config, {"a": 0, "b": 6})
    evaluation = write_evaluation(tmp_path / "eval", small_config, {"a": 3}, "eval.flip=true")
    run, other = read_runs([folder, evaluation])
    assert run["curves"][TRAINING]["loss"] == [2.0, 1.0] and run["curves"]["val"] == {
        "step": [2], "mIoU": [49.0], "aAcc": [60.0], "mAcc": [55.0],
    }  # fmt: skip
    assert run["evaluation"]["classes"] == CLASSES
    assert sum(count for _, _, count in run["evaluation"]["confusion"]) == 2 * 23 * 36
    assert (other["curves"], other["sessions"]) == ({}, [])
    assert (run["config"]["eval.flip"], other["config"]["eval.flip"]) == (False, True)
    assert other["evaluation"]["scores"]["protocol"]["mode"] == "whole, flip"


def test_long_curves_are_thinned(small_config, tmp_path):
    folder = write_training(tmp_path / "run", small_config, [1.0] * (2 * MOST_POINTS + 1))
    (run,) = read_runs([folder])
    assert run["thinned"] == 3
    assert run["curves"][TRAINING]["step"][:3] == [1, 4, 7]
    assert len(run["curves"]["val"]["step"]) == 1


def test_many_runs_share_the_points(small_config, tmp_path, monkeypatch):
    monkeypatch.setattr("src.report.runs.ALL_POINTS", 20)
    folders = [write_training(tmp_path / name, small_config, [1.0] * 20) for name in ("one", "two")]
    assert [run["thinned"] for run in read_runs(folders)] == [2, 2]
    assert read_runs(folders[:1])[0]["thinned"] == 1


def test_mistakes(small_config, tmp_path):
    def message(*folders):
        with pytest.raises(UserError) as error:
            read_runs(folders)
        return str(error.value)

    missing = tmp_path / "no"
    assert message(missing) == f"{missing}: no such folder; name the folder of a run, such as runs/quickstart"
    assert "holds no run: neither the metrics.jsonl of train.py nor the report.json" in message(tmp_path)
    folder = write_evaluation(tmp_path / "run", small_config, {"a": 0})
    assert "is given twice" in message(folder, tmp_path / "run" / ".." / "run")
    path = folder / "report.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "version": 99}))
    assert f"{path}: is of version 99, expected 1; remove it" in message(folder)
    path.write_text("{")
    assert f"{path}: is damaged" in message(folder)
