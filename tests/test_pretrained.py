"""The networks in pretrained/: small, complete, as their page describes them, and as good as it says."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from src.api import evaluate, load
from src.checkpoint import TRAIN, load_checkpoint
from src.config import load_config
from src.files import sha256
from tests.commands import ROOT

FOLDER = ROOT / "pretrained"
FILES = sorted(FOLDER.glob("*.ckpt"))
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
CAMVID = os.environ.get("CAMVID")
SIZE_LIMIT = 10e6


def row(file: Path) -> list[str]:
    """Its line of the page's table, cell by cell."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{file.name}`" in line]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_page_and_folder_agree():
    assert [file.stem.split("_")[1] for file in FILES] == ["cpt", "csnet", "ecenet", "fpn"]
    assert re.findall(r"^\| `(.+?\.ckpt)`", PAGE, re.MULTILINE) == [file.name for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_file_is_small_and_as_described(file):
    assert file.stat().st_size < SIZE_LIMIT
    assert sha256(file) in PAGE
    checkpoint = load_checkpoint(file)
    facts = checkpoint.meta["provenance"]
    assert f"{facts['mIoU']:.2f}" == row(file)[2]
    assert (str(facts["step"]), str(facts["seed"]), facts["commit"]) == tuple(row(file)[3:6])
    assert "CC BY-NC" in facts["note"]
    config = load_config(ROOT / "config" / row(file)[7].strip("`")).model_dump()
    assert checkpoint.meta["config"]["model"] == config["model"]
    assert row(file)[6].split(", ")[-1] == str(facts["step"])
    assert not [name for name in checkpoint.tensors if name.startswith(TRAIN)]
    assert not Path(checkpoint.meta["config"]["data"]["root"]).is_absolute()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_file_segments_a_photo_at_once(file):
    rgb = np.full((96, 128, 3), 90, np.uint8)
    rgb[:40] = (120, 170, 235)
    result = load(file).predict(rgb)
    assert result.ids.shape == (96, 128)
    assert result.classes[result.ids[5, 64]] == "sky"
    np.testing.assert_allclose(result.probabilities.sum(0), 1, atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not CAMVID, reason="needs CamVid: CAMVID=FOLDER python -m pytest -m slow tests/test_pretrained.py")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_score_is_that_of_the_page(file, tmp_path):
    overrides = [f"data.root={CAMVID}", f"data.records={tmp_path / 'records'}"]
    assert evaluate(file, overrides=overrides)["mIoU"] == pytest.approx(float(row(file)[2]), abs=0.2)
