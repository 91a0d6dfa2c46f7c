"""The plan of the house: which room may import which. Imports go one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"

# room: the rooms that it may import
GROUND = {
    "onednn": set(),
    "errors": set(),
    "heartbeat": set(),
    "memory": set(),
    "provenance": set(),
    "signals": set(),
    "parallel": {"heartbeat"},
    "files": {"errors"},
    "schema": {"errors"},
    "config": {"errors", "schema"},
    "checkpoint": {"errors", "files"},
    "native": {"files"},
    "device": {"errors", "native", "parallel", "signals"},
}
ROOMS = {
    **GROUND,
    "models": {*GROUND},
    "data": {*GROUND, "report"},
    "report": {*GROUND},
    "explain": {"errors", "report"},
    "losses": {*GROUND, "models"},
    "metrics": {*GROUND, "models"},
    "weights": {*GROUND, "models"},
    "launch": {"errors", "files", "heartbeat", "schema", "config", "data"},
    "inference": {*GROUND, "models", "metrics", "report", "explain"},
    "training": {*GROUND, "models", "data", "losses", "metrics", "inference", "report"},
    "sweep": {"errors", "files", "provenance", "schema", "config", "training"},
    "explore": {"errors", "data", "report", "explain", "api"},
    "jobs": {*GROUND, "models", "data", "losses", "inference", "training", "report", "weights"},
}
ANYTHING = ("api", "tools")  # and nothing below imports them
MODULES = sorted(SRC.rglob("*.py"))


def name_of(path):
    """src/data/share.py -> src.data.share, src/data/__init__.py -> src.data."""
    return ".".join(path.relative_to(SRC.parent).with_suffix("").parts).removesuffix(".__init__")


NAMES = {name_of(path) for path in MODULES}


def imports(path):
    """Names of the project's modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in NAMES else node.module)
    return {name for name in found if name in NAMES} - {"src"}


def room(name):
    return name.split(".")[1] if "." in name else "src"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_import_only_what_lies_below(path):
    own = room(name_of(path))
    if own in ("src", *ANYTHING):
        return
    wrong = {name for name in imports(path) if room(name) not in {*ROOMS[own], own}}
    assert not wrong, f"{name_of(path)} may not import {', '.join(sorted(wrong))}"


def test_every_room_has_a_place_in_the_plan():
    assert {room(name) for name in NAMES} == {"src", *ROOMS, *ANYTHING}


def test_no_circle():
    graph = {name_of(path): imports(path) for path in MODULES}
    done = set()

    def visit(name, way):
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, [*way, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])


def test_the_launcher_starts_without_mindspore():
    program = "import sys, src.launch.__main__; assert 'mindspore' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=SRC.parent, check=True)


def test_a_sweep_starts_without_mindspore():
    program = "import sys, src.tools.sweep; assert 'mindspore' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=SRC.parent, check=True)


def test_the_importers_work_without_mindspore():
    modules = [name for name in sorted(NAMES) if name.startswith("src.data.importers")]
    assert modules
    program = f"import sys, src.tools.import_labels, {', '.join(modules)}; assert 'mindspore' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=SRC.parent, check=True)


@pytest.mark.parametrize("package", [path for path in MODULES if path.name == "__init__.py"], ids=name_of)
def test_every_folder_says_what_lives_there(package):
    docstring = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8")))
    assert docstring and docstring.count(".") >= 2, "two sentences: what lives here, and who may import it"
