"""The command: what it refuses, and a whole run until Ctrl-C."""

import json
import re
import signal
import sys
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
import yaml

from src.checkpoint import save_checkpoint
from src.config import load_config
from src.data.catalog import load_dataset_info
from src.models import build_model
from tests.commands import read_until, run_inside, start
from tests.conftest import SMALL

SHAPES = load_dataset_info("shapes")
PROGRAM = "src.tools.explore"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--input", "none"], "--input none: is not a folder"),
        (["--megapixels", "0"], "--megapixels 0.0: must be between"),
        (["--port", "65536"], "--port 65536: must be between 0 and 65535"),
        (["--checkpoint", "none.ckpt"], "checkpoint not found: none.ckpt"),
    ],
)
def test_wrong_arguments(tmp_path, monkeypatch, capsys, extra, message):
    arguments = ["--checkpoint", "x.ckpt", "--input", tmp_path, *extra]
    assert run_inside(monkeypatch, PROGRAM, *arguments) == 2
    assert message in capsys.readouterr().err


def test_missing_packages_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "src.explore.server", raising=False)
    assert run_inside(monkeypatch, PROGRAM, "--checkpoint", "x.ckpt", "--input", tmp_path) == 2
    assert "uvicorn is not installed: pip install -r requirements-explore.txt" in capsys.readouterr().err


def test_a_run_until_ctrl_c(tmp_path):
    pytest.importorskip("uvicorn", reason="no test of the command: pip install -r requirements-explore.txt")
    values = {**SMALL, "data": {**SMALL["data"], "records": str(tmp_path / "records")}, "device": {"mode": "pynative"}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(values))
    network = build_model(load_config(tmp_path / "small.yaml").model, len(SHAPES.classes))
    meta = {"classes": list(SHAPES.classes), "colors": [list(color) for color in SHAPES.colors]}
    save_checkpoint(tmp_path / "model.ckpt", network, meta)
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), np.zeros((64, 64, 3), np.uint8))
    files = ["--config", tmp_path / "small.yaml", "--checkpoint", tmp_path / "model.ckpt"]
    process = start("-m", PROGRAM, *files, "--input", tmp_path / "photos")
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+/\S{32}/", read_until(process, "open http"))[0]
        with urlopen(f"{address}api/segment?image=folder/a.png") as answer:
            assert json.load(answer)["width"] == 64
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=300)
        assert process.returncode == 130 and rest == "interrupted\n"
    finally:
        process.kill()
