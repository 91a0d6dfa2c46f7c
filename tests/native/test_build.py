"""Compiling and loading: once per machine, and never in the way where it is not possible."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.files import cache_folder
from src.native import build, library

ROOT = Path(__file__).parents[2]
needs_compiler = pytest.mark.skipif(not library.loaded(), reason="the native kernels cannot be compiled here")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder("kernels")


def compiler(tmp_path, body):
    """A program that poses as a compiler."""
    path = tmp_path / "compiler"
    path.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo 1.0; exit 0; fi\n{body}\n')
    path.chmod(0o755)
    return str(path)


FAST = 'while [ "$1" != -o ]; do shift; done; echo compiled >> "$0.log"; echo kernels > "$2"'


def test_a_second_call_finds_the_result(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", compiler(tmp_path, FAST))
    said = []
    folder = build.ensure(said.append)
    assert sorted(path.name for path in folder.iterdir()) == [build.KERNELS, build.ONEDNN]
    assert len(said) == 2 and said[0].startswith("native kernels: compiling them") and "compiled in" in said[1]
    assert build.ensure(said.append) == folder
    assert len(said) == 2


def test_the_result_depends_on_compiler_and_sources(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", compiler(tmp_path, FAST))
    first = build.ensure(str)
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-g"))
    assert build.ensure(str) != first


def test_a_failed_compilation_leaves_nothing_behind(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", compiler(tmp_path, 'echo "kernel.cpp:3: error: out of luck" >&2; exit 1'))
    with pytest.raises(build.BuildError, match=r"compiler: kernel.cpp:3: error: out of luck"):
        build.ensure(str)
    assert [path.name for path in cache.iterdir()] == ["lock"]


def test_no_compiler(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(build.BuildError, match=r"no C\+\+ compiler found \(install g\+\+ or set CXX\)"):
        build.ensure(str)


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("CXX", compiler(tmp_path, FAST))
    with pytest.raises(build.BuildError, match=r"file/mindspore-segmentation"):
        build.ensure(str)


def test_processes_that_start_together_compile_once(cache, tmp_path):
    command = compiler(tmp_path, FAST)
    environment = {**os.environ, "CXX": command, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    program = "from src.native import build; build.ensure(str)"
    started = [subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=ROOT) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    steps = len(Path(command + ".log").read_text().splitlines())
    assert steps == len(list(build.SOURCES.glob("*.cpp"))) + 1  # and the linking


def load(mode, **environment):
    """Start a fresh process that loads the kernels; its status and what it printed."""
    program = (
        "import src, mindspore as ms; ms.set_device('CPU'); from src import device, errors\n"
        f"try: device.start_native({mode!r})\n"
        "except errors.UserError as error: print('refused:', error)\n"
        "from src.native import library; print('loaded:', library.loaded())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("body", "reason"),
    [("exit 1", "status 1"), (FAST, "invalid ELF header|file too short")],
    ids=["fails", "makes nonsense"],
)
def test_without_kernels_one_line_says_so_and_all_goes_on(cache, tmp_path, body, reason):
    said = load("auto", CXX=compiler(tmp_path, body), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "native kernels: not used, MindSpore's own operators are" in said
    assert "loaded: False" in said
    assert "refused" not in said


def test_on_is_an_error_without_them(cache, tmp_path):
    said = load("on", CXX=compiler(tmp_path, "exit 1"), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "refused: device.native: on, but the native kernels cannot be used" in said
    assert "use auto or off" in said


@needs_compiler
def test_off_and_on():
    assert "loaded: False" in load("off")
    assert "loaded: True" in load("on")
