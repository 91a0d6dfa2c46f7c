"""The notebook of docs: executed as it stands (slow), and saved with its results."""

import json
import re

import pytest

from tests.commands import ROOT

TOUR = ROOT / "docs" / "tour.ipynb"


def cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def printed(notebook):
    """What all cells print."""
    outputs = [output for cell in cells(notebook) for output in cell["outputs"]]
    return "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")


def test_it_is_saved_as_it_ran():
    notebook = json.loads(TOUR.read_text(encoding="utf-8"))
    assert [cell["execution_count"] for cell in cells(notebook)] == list(range(1, len(cells(notebook)) + 1))
    outputs = [output for cell in cells(notebook) for output in cell["outputs"]]
    assert all(output["output_type"] in ("stream", "display_data") for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    assert TOUR.stat().st_size < 1_000_000
    assert "/home/" not in printed(notebook) and "/tmp/" not in printed(notebook)


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(TOUR, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    text = printed(notebook)
    assert float(re.search(r"mIoU (\d+\.\d) on 8 images", text)[1]) > 80
    assert float(re.search(r"equal pixels: ([\d.]+)%", text)[1]) > 99
    assert (tmp_path / "tour" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "tour" / "leaves.ckpt").is_file()
