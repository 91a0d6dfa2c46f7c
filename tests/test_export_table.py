"""The page of exports: one table per kind, and one of the times that were taken. The exports: tests/inference."""

from argparse import Namespace

from src.tools.export_table import page

ARGUMENTS = Namespace(size=[40, 56], classes=5)
GOOD = {"difference": 1e-6, "equal": 0.99999, "megabytes": 1.25, "made": "2026-01-02, a"}


def test_page_without_times():
    text = page({"fpn resnet18": {"ONNX": GOOD}, "cpt resnet18": {"ONNX": {"error": "refused"}}}, ARGUMENTS)
    assert "190 of 192 exports have not been made yet" in text and "## Time" not in text
    assert "| cpt resnet18 | refused | - | - | - |\n| fpn resnet18 | 1.0e-06 | 99.999 % | 1.2 | 2026-01-02, a |" in text


def test_times_stand_side_by_side():
    rows = {
        "psp resnet18": {"ONNX": GOOD, "milliseconds": {"ONNX": 20.4, "network": 31}},
        "fpn resnet18": {
            "MINDIR": GOOD,
            "milliseconds": {"MINDIR": 9, "network": 8, "PyTorch": 12.6},
            "timed": "2026-01-03, def",
        },
        "cpt resnet18": {"ONNX": GOOD},
    }
    table = page(rows, ARGUMENTS).partition("## Time")[2].splitlines()
    assert table[-4:] == [
        "| decoder, backbone | network | MINDIR | ONNX | PyTorch | date, commit |",
        "|---|---:|---:|---:|---:|---|",
        "| fpn resnet18 | 8 | 9 | - | 13 | 2026-01-03, def |",
        "| psp resnet18 | 31 | - | 20 | - | - |",
    ]
