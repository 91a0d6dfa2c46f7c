"""The report as a file: complete, bounded, and safe whatever the names in it are."""

import hashlib
import json
import re
from pathlib import Path

from src.report import page
from src.report.runs import read_runs
from src.report.shown_images import collect, select
from tests.commands import run_inside
from tests.report.runs import write_evaluation, write_training

UPLOT = Path(page.__file__).parent / "assets" / "uplot"
# SHA-256 of the files in uPlot 1.6.32 as npm has it.
PUBLISHED = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
EVIL = "</script><script>alert(1)</script><!--script-->"


def data_of(text):
    """The data of a page, as its scripts read it, and its pictures."""
    elements = dict(re.findall(r'<script type="[^"]+" id="(\w+)">(.*?)</script>', text, re.DOTALL))
    return json.loads(elements["data"]), json.loads(elements["pictures"])


def test_the_library_is_the_published_one():
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in UPLOT.iterdir()} == PUBLISHED


def test_every_asset_is_used():
    used = {*page.SCRIPTS, "page.html", "page.css"}
    assert used == {path.name for path in UPLOT.parent.iterdir() if path.is_file()}


def test_names_cannot_end_the_script(small_config, tmp_path):
    (run,) = read_runs([write_evaluation(tmp_path / "run", small_config, {EVIL: 1}, f"data.root={EVIL}")])
    run["evaluation"]["images"][0]["photo"] = EVIL  # of a report.json that somebody else wrote
    text = page.build_page([run])
    assert EVIL not in text and "alert(1)</script>" not in text
    data, pictures = data_of(text)
    assert data["images"][0]["name"] == data["runs"][0]["config"]["data.root"] == EVIL
    assert pictures[data["images"][0]["photo"]] == EVIL


def test_nothing_is_loaded_from_elsewhere(small_config, tmp_path):
    text = page.build_page(read_runs([write_evaluation(tmp_path / "run", small_config, {"a": 1})]))
    assert "default-src 'none'" in text
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text.partition("<script")[0])
    assert not re.search(r"<!--\w+-->", text)


def test_runs_share_an_image(small_config, tmp_path):
    """Its photo and label are there once, its predictions side by side."""
    first = write_evaluation(tmp_path / "one", small_config, {"a": 0, "b": 6})
    second = write_evaluation(tmp_path / "two", small_config, {"b": 3, "c": 1})
    data, pictures = data_of(page.build_page(read_runs([first, second])))
    assert [(image["name"], sorted(image["results"])) for image in data["images"]] == [
        ("b", ["0", "1"]), ("c", ["1"]), ("a", ["0"]),
    ]  # fmt: skip
    assert len(pictures) == 2 * 3 + 4
    used = [image[name] for image in data["images"] for name in ("photo", "label")]
    used += [result["prediction"] for image in data["images"] for result in image["results"].values()]
    assert sorted(used) == list(range(len(pictures)))
    assert data["imagesScored"] == 2


def test_images_are_bounded_in_number_and_bytes(small_config, tmp_path):
    folder = write_evaluation(tmp_path / "run", small_config, {f"image{index}": index for index in range(12)})
    groups = collect(read_runs([folder]))
    shown, _ = select(groups, 6, 10**9)
    assert [image["name"] for image in shown] == [f"image{index}" for index in (11, 10, 9, 8, 5, 2)]
    one = len(json.dumps(select(groups, 1, 10**9)))
    shown, pictures = select(groups, 12, 5 * one)
    assert 3 <= len(shown) < 12 and len(json.dumps((shown, pictures))) <= 5 * one
    assert select(groups, 0, 5 * one) == select(groups, 12, -1) == ([], [])


def test_a_page_is_bounded_whatever_is_in_it(small_config, tmp_path, monkeypatch):
    wrong = {f"image{index}": index for index in range(12)}
    runs = read_runs([write_evaluation(tmp_path / "run", small_config, wrong)])
    without, whole = (len(page.build_page(runs, images)) for images in (0, 12))
    monkeypatch.setattr(page, "MOST_BYTES", (without + whole) // 2)
    text = page.build_page(runs)
    assert without < len(text) <= page.MOST_BYTES and 3 <= len(data_of(text)[0]["images"]) < 12
    monkeypatch.setattr(page, "MOST_BYTES", 1000)  # less than the page takes without any image
    assert not data_of(page.build_page(runs))[0]["images"]


def test_the_command(small_config, tmp_path, monkeypatch, capfd):
    folder = write_training(tmp_path / "run", small_config, [2.0, 1.0])
    output = tmp_path / "new" / "report.html"
    assert run_inside(monkeypatch, "src.tools.report", folder, "--output", output) == 0
    assert f"wrote {output}: 1 runs" in capfd.readouterr().out
    assert data_of(output.read_text(encoding="utf-8"))[0]["runs"][0]["curves"][""]["loss"] == [2.0, 1.0]
    for arguments, message in (
        ([tmp_path / "no", "--output", output], "no such folder"),
        ([folder, "--output", tmp_path / "report.pdf"], "expected a name that ends with .html"),
        ([folder, "--output", output, "--images", "-1"], "--images -1: expected 0 or more"),
    ):
        assert run_inside(monkeypatch, "src.tools.report", *arguments) == 2
        assert message in capfd.readouterr().err
