"""docs/extending.md, applied to a copy of the project as a reader would apply it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
STEPS = re.compile(
    r"New file `(?P<new>[^`]+)`:\n\n```\w+\n(?P<text>.*?)```\n"
    r"|In `(?P<file>[^`]+)`, (?P<where>after|before) `(?P<anchor>[^\n]+)`:\n\n```\w+\n(?P<lines>.*?)```\n"
    r"|In `(?P<changed>[^`]+)`, write `(?P<by>[^\n]+)` for `(?P<old>[^\n]+)`\.\n",
    re.DOTALL,
)


def apply(page, project):
    """Do what the page says; every anchor has to be found exactly once."""
    for step in STEPS.finditer(page):
        if step["new"]:
            assert not (project / step["new"]).exists()
            (project / step["new"]).write_text(step["text"])
            continue
        path = project / (step["file"] or step["changed"])
        text = path.read_text()
        if step["old"]:
            assert text.count(step["old"]) == 1, f"{path}: {step['old']}"
            path.write_text(text.replace(step["old"], step["by"]))
            continue
        lines = text.splitlines(keepends=True)
        found = [index for index, line in enumerate(lines) if line.startswith(step["anchor"])]
        assert len(found) == 1, f"{path}: {step['anchor']}"
        after = step["where"] == "after"
        lines.insert(found[0] + after, step["lines"] if after else step["lines"] + "\n\n")
        path.write_text("".join(lines))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with everything that the page adds."""
    folder = tmp_path_factory.mktemp("extended")
    for name in ("src", "config", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train.py", "eval.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    apply((ROOT / "docs" / "extending.md").read_text(), folder)
    return folder


def run(project, *arguments):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_step_of_the_page_is_understood():
    page = (ROOT / "docs" / "extending.md").read_text()
    blocks = page.count("\n```python\n") + page.count("\n```yaml\n") + page.count("\n```csv\n")
    steps = [step.groupdict() for step in STEPS.finditer(page)]
    assert sum(1 for step in steps if not step["old"]) == blocks
    assert sum(1 for step in steps if step["old"]) == len(re.findall(r"^In `.*, write `", page, re.MULTILINE))


def test_toy_decoder_with_its_loss_and_backbone_trains(project):
    tiny = ["data.shapes={train: 8, val: 2, size: [64, 64]}", "data.crop=[64, 64]", "device.mode=pynative"]
    tiny += ["train.iterations=2", "train.batch_size=2", "train.eval_every=2", "train.log_every=1"]
    tiny += ["model.backbone.name=plain16", "model.backbone.kernel_size=5"]
    output = run(project, "train.py", "--config", "config/toy_shapes.yaml", "--output", "run", "--set", *tiny)
    assert "toy on plain16" in output
    assert re.search(r"step 2/2  loss \d+\.\d+  ce \d+\.\d+  sparsity 0\.\d+", output)
    assert (project / "run" / "checkpoints" / "best.ckpt").is_file()


def test_options_are_described_and_checked(project):
    run(project, "-m", "src.tools.describe_config", "--write")
    page = (project / "docs" / "configuration.md").read_text()
    for sentence in (
        "Width of the decoder, in channels.",
        "Side of the convolutions, in pixels.",
        "Weight of the loss.",
    ):
        assert sentence in page
    program = (
        "from src.models.decoders import build_decoder\nfrom src.errors import UserError\n"
        "try: build_decoder('toy', (8, 8, 8, 8), 3, chanels=4)\nexcept UserError as error: print(error)"
    )
    assert "did you mean 'channels'?" in run(project, "-c", program)


def test_data_set_is_found_by_its_name(project, tmp_path):
    for kind, values in (("images", (0, 256)), ("annotations", (0, 4))):
        for split in ("train", "val"):
            (tmp_path / kind / split).mkdir(parents=True)
            cv2.imwrite(
                str(tmp_path / kind / split / "a.png"),
                np.random.default_rng(0).integers(*values, (40, 40), np.uint8),
            )
    arguments = ["--dataset", "tiles", "--root", tmp_path, "--output", tmp_path / "records"]
    assert "crack" in run(project, "-m", "src.tools.prepare_data", *arguments)
