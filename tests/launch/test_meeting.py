"""Launchers meet before anything starts: late hosts, absent ones, and hosts that were started with something else."""

import json
import queue
import re
import shutil
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from src.config import load_config
from src.data.records import describe_file
from src.errors import UserError
from src.launch import agreement, meeting, wire
from src.launch.cluster import Cluster, cluster, free_port
from src.launch.job import Limits
from tests.commands import run_inside
from tests.launch.test_faults import Launchers, end, launchers, read_until  # noqa: F401

PLACE = cluster(2, {"NUM_NODES": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "9000"})
HERE = ("data.records=nowhere",)  # other tests prepare those of the config, or not
BATCH = ("--set", "train.batch_size=6")  # for three workers


@pytest.fixture
def meet(small_config, monkeypatch):
    """Begins the meeting of a launcher of two hosts in a thread; the future has the connections, or the reason."""
    monkeypatch.setattr(meeting, "LINGER", 0.5)
    lines = queue.Queue()  # pytest's own capture loses what a thread prints while it is read
    monkeypatch.setattr(meeting, "print", lambda line, **_: lines.put(line), raising=False)
    port = free_port()
    with ThreadPoolExecutor() as pool:

        def begin(host, *overrides, wait=60, **other):
            place = Cluster(2, 2, host, "127.0.0.1", port)
            own = {**agreement.facts(load_config(small_config, list(overrides)), place, 0), **other}
            limits = Limits(silence=30, wait=wait)

            def go():
                here = meeting.Meeting(place, own, limits, "", lambda: False)
                try:
                    return here.meet()
                finally:
                    here.close()

            return pool.submit(go)

        begin.port, begin.lines = port, lines
        yield begin


def close(*meetings):
    for one in meetings:
        for connection in one.result(60).values():
            connection.end("over")


def wait_for(meet, words):
    """Until somebody prints the words."""
    while words not in meet.lines.get(timeout=60):
        pass


def test_late_host_is_waited_for_and_strangers_do_no_harm(meet):
    first = meet(0)
    wait_for(meet, f"waiting for host 1 at 127.0.0.1:{meet.port + 1}")
    for data in (b"GET / HTTP/1.1\r\n\r\n", b'{"host": 1}\n', b"[" * 100_000 + b"\n", b"x" * 300_000, b""):
        with socket.create_connection(("127.0.0.1", meet.port + 1)) as stranger:
            stranger.settimeout(2)
            try:
                stranger.sendall(data)
                stranger.recv(100)
            except OSError:
                pass  # thrown out in the middle of a word
    second = meet(1)
    assert set(first.result(60)) == {1} and set(second.result(60)) == {0}
    close(first, second)


@pytest.mark.parametrize(("host", "words"), [(0, "host 1 did not come within 1 s"), (1, "did not answer within 1 s")])
def test_host_that_never_comes(meet, host, words):
    with pytest.raises(meeting.NeverCame, match=words):
        meet(host, wait=1).result(60)


@pytest.mark.parametrize(
    ("overrides", "other", "words"),
    [
        (["optimizer.lr=0.5"], {}, "optimizer.lr: 0.001 on host 0, 0.5 on host 1 (127.0.0.1)"),
        ([], {"MindSpore": "2.9.0"}, "MindSpore: 2.10.0 on host 0, 2.9.0 on host 1 (127.0.0.1)"),
        ([], {"the program": "checksum 1 (commit 2)"}, "checksum 1 (commit 2) on host 1 (127.0.0.1)"),
        ([], {"the records": "checksum 3"}, "the records: none yet on host 0, checksum 3 on host 1 (127.0.0.1)"),
    ],
    ids=["setting", "MindSpore", "program", "records"],
)
def test_difference_is_refused_by_both(meet, overrides, other, words):
    for refused in (meet(0, *HERE), meet(1, *HERE, *overrides, **other)):
        with pytest.raises(UserError, match=re.escape(words)):
            refused.result(60)


def test_address_of_another_machine():
    place = Cluster(2, 2, 0, "192.0.2.1", free_port())
    with pytest.raises(UserError, match="MASTER_ADDR must be an address of the machine with NODE_RANK 0"):
        meeting.Meeting(place, {}, Limits(), "", lambda: False)


@pytest.mark.slow
@pytest.mark.parametrize(("host", "words"), [(0, "host 1 did not come within 2 s"), (1, "did not answer within 2 s")])
def test_launcher_alone_gives_up(launchers, host, words):  # noqa: F811
    output, status = end(launchers.start("--wait", 2, host=host))
    assert status == 1
    assert words in output


@pytest.mark.slow
def test_everybody_hears_who_is_missing(launchers):  # noqa: F811
    for program in [launchers.start("--wait", 3, *BATCH, host=host, hosts=3, workers=3) for host in (0, 2)]:
        output, status = end(program)
        assert status == 1
        assert "host 1 did not come within 3 s" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "optimizer.lr=0.5"], ["optimizer.lr: 0.001 on host 0, 0.5 on host 1 (127.0.0.1)"]),
        (["--restarts", "4"], ["--restarts: 0 on host 0, 4 on host 1"]),
        (["--slow-network"], ["--slow-network: not given on host 0, given on host 1"]),
    ],
)
def test_difference_is_refused_by_every_host(launchers, options, words):  # noqa: F811
    for program in (launchers.start(), launchers.start(*options, host=1)):
        output, status = end(program)
        assert status == 2
        assert all(word in output for word in words), output
        assert "step 1" not in output


@pytest.mark.slow
def test_two_hosts_with_one_number(launchers):  # noqa: F811
    first = launchers.start(*BATCH, hosts=3, workers=3)
    second = launchers.start(*BATCH, host=1, hosts=3, workers=3)
    read_until(second, "host 0 waits for host 2")
    third = launchers.start(*BATCH, host=1, hosts=3, workers=3)
    for program in (first, second, third):
        output, status = end(program)
        assert status == 2
        assert "NODE_RANK 1 is taken by 127.0.0.1" in output


@pytest.mark.slow
def test_another_secret_is_turned_away_and_the_right_one_let_in(launchers):  # noqa: F811
    first = launchers.start(steps=3, SEGMENTATION_SECRET="a")
    output, status = end(launchers.start(host=1, steps=3, SEGMENTATION_SECRET="b"))
    assert status == 2 and "SEGMENTATION_SECRET differs" in output
    second = launchers.start(host=1, steps=3, SEGMENTATION_SECRET="a")
    assert (end(first)[1], end(second)[1]) == (0, 0)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 1, marks=pytest.mark.slow)]
)
def test_waiting_can_be_stopped(launchers, number, status):  # noqa: F811
    first = launchers.start()
    read_until(first, "waiting for host 1")
    first.send_signal(number)
    assert end(first)[1] == status


@pytest.mark.slow
def test_host_that_is_stopped_before_the_start_stops_all(launchers):  # noqa: F811
    programs = [launchers.start(*BATCH, host=host, hosts=3, workers=3) for host in (0, 1)]
    read_until(programs[1], "host 0 waits for host 2")
    programs[1].terminate()
    (output, status), (_, own) = map(end, programs)
    assert (status, own) == (1, 1)
    assert "host 1 (127.0.0.1) was stopped before the start" in output


@pytest.mark.parametrize("option", ["--silence=0", "--wait=nan", "--restarts=-1", "--restarts=1.5"])
def test_impossible_options(small_config, monkeypatch, capfd, option):
    assert run_inside(monkeypatch, "src.launch", "--workers", 2, "--config", small_config, option) == 2
    assert f"found '{option.partition('=')[2]}', expected" in capfd.readouterr().err


# ------------------------------------------------------------------------------------------- what is compared
def test_paths_may_differ_and_settings_may_not(small_config, tmp_path):
    def own(*overrides):
        return agreement.facts(load_config(small_config, list(overrides)), PLACE, 0)

    assert agreement.difference(own(), own("data.root=/elsewhere"), "host 0", "host 1") is None
    assert "train.seed" in agreement.difference(own(), own("train.seed=5"), "host 0", "host 1")
    older = {**own(), "MindSpore": "2.9.0"}
    assert "MindSpore: 2.10.0 on host 0, 2.9.0 on host 1" in agreement.difference(own(), older, "host 0", "host 1")


def test_the_program_is_compared_by_its_files(tmp_path):
    for name in ("train.py", "src/a.py", "src/native/a.cpp", "src/data/a.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    plain = agreement.source(tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    author = ["-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-m", "m"], cwd=tmp_path, check=True)
    cloned = agreement.source(tmp_path)
    assert "(commit " in cloned
    assert agreement.difference({"the program": plain}, {"the program": cloned}, "a", "b") is None
    (tmp_path / "src/__pycache__").mkdir()
    (tmp_path / "src/__pycache__/a.pyc").write_text("1")  # which Python may have written or not
    assert agreement.source(tmp_path) == cloned
    for name in ("src/a.py", "src/native/a.cpp", "src/data/a.csv"):
        before = agreement.source(tmp_path)
        (tmp_path / name).write_text("2")
        assert agreement.difference({"the program": before}, {"the program": agreement.source(tmp_path)}, "a", "b")


def write_manifest(folder):
    files = {name: describe_file(folder / name) for name in ("metadata.json", "train.mindrecord")}
    (folder / "manifest.json").write_text(json.dumps({"files": files}))


def test_records_are_compared_by_contents(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    assert agreement.records(folders[0]) == "none yet"
    for number, folder in enumerate(folders):
        folder.mkdir()
        (folder / "metadata.json").write_text(json.dumps({"name": "x", "source": {"root": f"/disk{number}"}}))
        (folder / "train.mindrecord").write_bytes(b"images")
        write_manifest(folder)
    assert agreement.records(folders[0]).startswith("checksum ")
    assert agreement.records(folders[0]) == agreement.records(folders[1])
    (folders[1] / "train.mindrecord").write_bytes(b"others")
    write_manifest(folders[1])
    assert agreement.records(folders[0]) != agreement.records(folders[1])
    shutil.copy(tmp_path / "a" / "metadata.json", tmp_path / "b" / "manifest.json")
    assert agreement.records(folders[1]) == "damaged"


def test_an_answer_cannot_be_sent_back():
    key = wire.job_key("a", 1, "s")
    number = wire.challenge()
    assert wire.proven(key, "host", number, wire.proof(key, "host", number))
    assert not wire.proven(key, "first", number, wire.proof(key, "host", number))
    assert not wire.proven(key, "host", number, None)
