"""Jobs over slow and lossy cables, and the library that lets MindSpore join there."""

import sys

import pytest

from src.errors import UserError
from src.launch import clock, slow_network
from tests.commands import read_until
from tests.hosts import Stand, why_no_slow_cable
from tests.launch.test_hosts import Job, ends, nothing_left, slow

slow_cables = pytest.mark.skipif(bool(why_no_slow_cable()), reason=str(why_no_slow_cable()))
CC = pytest.mark.skipif(not slow_network.shutil.which("cc"), reason="needs a C compiler")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path


@CC
def test_compiled_once(cache, monkeypatch):
    found = slow_network.library()
    assert found.read_bytes()[:4] == b"\x7fELF"
    assert list(found.parent.iterdir()) == [found]
    monkeypatch.setattr(slow_network.shutil, "which", lambda name: None)
    assert slow_network.library() == found


def test_without_a_compiler(cache, monkeypatch):
    monkeypatch.setattr(slow_network.shutil, "which", lambda name: None)
    monkeypatch.setenv("CC", "mycc")
    with pytest.raises(
        UserError, match="needs a C compiler, found none of mycc, cc, gcc, clang; install gcc or set CC"
    ):
        slow_network.library()


@CC
def test_source_that_does_not_compile(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(slow_network, "SOURCE", tmp_path / "wrong.c")
    (tmp_path / "wrong.c").write_text("wrong")
    with pytest.raises(
        UserError, match=r"--slow-network: cc cannot compile .*wrong\.c: .*; set CC to another compiler"
    ):
        slow_network.library()


@CC
def test_cache_that_cannot_be_written(cache, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="--slow-network: .*; set XDG_CACHE_HOME to a folder"):
        slow_network.library()


def test_what_the_user_preloads_stays(tmp_path, monkeypatch):
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    assert slow_network.preload(tmp_path / "a.so") == str(tmp_path / "a.so")
    monkeypatch.setenv("LD_PRELOAD", "/b.so")
    assert slow_network.preload(tmp_path / "a.so") == f"{tmp_path / 'a.so'}:/b.so"


@slow
@slow_cables
def test_slow_and_lossy_cable_is_no_silence(tmp_path):
    """200 ms each way and 5 % loss, for half a minute; the workers are pretended."""
    with Stand(2, delay=0.2, loss=0.05) as stand:
        job = Job(stand, tmp_path, module="tests.launch.pretend launcher")
        for output, status in ends(job.all("--silence", 8, environment={"PRETEND_STEPS": "300"})):
            assert status == 0, output
            assert "step 300/300" in output


@CC
@slow_cables
def test_connections_stand_when_they_are_begun(cache):
    """With the library of --slow-network; without it they stand 200 ms later."""
    listen = "import socket, time; s = socket.create_server(('10.77.0.1', 9)); print('ready'); time.sleep(99)"
    begin = "import socket; s = socket.socket(); s.setblocking(False); s.connect_ex(('10.77.0.1', 9)); s.getpeername()"
    with Stand(2, delay=0.1) as stand:
        read_until(stand.start(0, sys.executable, "-c", listen), "ready")
        for environment, stands in (({}, False), ({"LD_PRELOAD": str(slow_network.library())}, True)):
            program = stand.start(1, sys.executable, "-c", begin, environment=environment)
            output, _ = program.communicate()
            assert (program.returncode == 0) == stands, output


@slow
@slow_cables
@pytest.mark.parametrize(("delay", "options"), [(0.01, []), (0.2, ["--slow-network"])])
def test_training_over_a_slow_and_lossy_cable(tmp_path, delay, options):
    """20 ms there and back, below MindSpore's limit of 30, and 400 ms with what cures it; 5 % loss."""
    with Stand(2, delay=delay, loss=0.05) as stand:
        job = Job(stand, tmp_path)
        begin = clock.now()
        for output, status in ends(job.all(*options, overrides=["train.iterations=20"])):
            assert status == 0, output
            assert "step 20/20" in output
        print(f"\n| {1000 * delay:.0f} ms each way, 5 % loss: 20 steps | {clock.now() - begin:.0f} s | |")
        nothing_left(stand)


@slow
@slow_cables
def test_workers_that_mindspore_cannot_join_end_the_job(tmp_path):
    """MindSpore 2.10 gives a connection 30 ms, and nobody has given --slow-network."""
    with Stand(2, delay=0.2, loss=0.05) as stand:
        job = Job(stand, tmp_path)
        begin = clock.now()
        found = ends(job.all(overrides=["train.iterations=20"]))
        assert [status for _, status in found] == [1, 1], found
        assert any("Failed to initialize distributed job cluster" in output for output, _ in found), found
        assert all("error: " in output for output, _ in found), found
        print(f"\n| 200 ms each way, 5 % loss | {clock.now() - begin:.0f} s | |", *(output for output, _ in found))
        nothing_left(stand)
