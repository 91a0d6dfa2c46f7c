"""The server over HTTP, with a model that is a formula."""

import http.client
import json
import socket
import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette", reason="no server test: pip install -r requirements-explore.txt")
pytest.importorskip("uvicorn", reason="no server test: pip install -r requirements-explore.txt")

from src.explore import server as module
from src.explore.explorer import Explorer
from src.explore.folder import Folder
from src.explore.jobs import Jobs

TOKEN = "a-token"
GENERATOR = np.random.default_rng(0)
RGB = GENERATOR.integers(0, 256, (40, 60, 3), np.uint8)
PNG = cv2.imencode(".png", RGB[..., ::-1])[1].tobytes()


class Formula:
    """A model whose probabilities are the shares of the three colors; it counts its calls."""

    path, explains = "formula", ()
    config = SimpleNamespace(model=SimpleNamespace(decoder=SimpleNamespace(name="none")))
    classes, colors = ["red", "green", "blue"], [(255, 0, 0), (0, 255, 0), (0, 0, 255)]

    def __init__(self):
        self.calls = self.inside = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.entered = threading.Event()

    def predict(self, rgb):
        self.calls += 1
        self.inside += 1
        assert self.inside == 1, "two at once"
        self.entered.set()
        assert self.go_on.wait(60)
        self.inside -= 1
        values = rgb.transpose(2, 0, 1).astype(np.float32) + 1
        return SimpleNamespace(probabilities=values / values.sum(0))


class WatchedJobs(Jobs):
    """Tells when a job was cancelled."""

    def __init__(self):
        super().__init__()
        self.dropped = threading.Event()

    def submit(self, job):
        future = super().submit(job)
        future.add_done_callback(lambda done: self.dropped.set() if done.cancelled() else None)
        return future


@contextmanager
def serving(folder):
    """A server, with the thread that computes for it."""
    model, jobs = Formula(), WatchedJobs()
    app = module.build_app(Explorer(model, Folder(folder, 1.0)), jobs, TOKEN)
    thread = threading.Thread(target=jobs.run)
    thread.start()
    try:
        with module.Server(app, 0) as server:
            yield SimpleNamespace(port=server.port, model=model, jobs=jobs)
    finally:
        model.go_on.set()
        jobs.stop()
        thread.join()


@pytest.fixture
def running(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "broken.png").write_bytes(PNG[:200])
    with serving(tmp_path) as found:
        yield found


def connect(running):
    return http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)


def get(running, path, token=TOKEN, method="GET", body=None, **headers):
    connection = connect(running)
    connection.request(method, f"/{token}/{path}", body, headers)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response, data


def test_segmentation_and_pixel(running):
    response, data = get(running, "api/segment?image=folder/a.png")
    assert response.status == 200
    found = json.loads(data)
    assert (found["height"], found["width"]) == (40, 60)
    shares = np.bincount(RGB.argmax(2).ravel(), minlength=3) / RGB[..., 0].size
    assert dict(found["shares"]) == pytest.approx(dict(enumerate(shares)))
    _, data = get(running, "api/pixel?image=folder/a.png&row=7&column=50")
    expected = (RGB[7, 50] + 1.0) / (RGB[7, 50] + 1.0).sum()
    assert json.loads(data)["probabilities"] == pytest.approx(expected.tolist(), rel=1e-6)
    _, data = get(running, "api/image?image=folder/a.png")
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], RGB)
    assert running.model.calls == 1  # it is remembered


def test_map(running):
    _, data = get(running, "api/map?image=folder/a.png&map=probability&category=1&row=0&column=0")
    found = json.loads(data)
    assert (found["low"], found["high"]) == (0, 1) and found["source"].startswith("data:image/png;base64,")


@pytest.mark.parametrize("path", ["", "page.js", "api/describe", "../a-token/", "api/image?image=folder/a.png"])
@pytest.mark.parametrize("token", ["wrong", "", "a-tokem", "a-token2", "%61", "%C3%A4"])
def test_without_the_token_there_is_no_answer(running, path, token):
    response, data = get(running, path, token)
    assert response.status == 403 and b"address that the command printed" in data


def test_upload_without_the_token(running):
    assert get(running, "upload?name=a.png", "wrong", "POST", PNG)[0].status == 403


def test_another_name_of_this_machine_is_refused(running):
    """Else a page of another site could read the answers by having its name point here."""
    assert get(running, "api/describe", Host="attacker.example")[0].status == 400
    assert get(running, "api/describe", Host=f"localhost:{running.port}")[0].status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of this machine")
def test_other_addresses_of_this_machine_have_no_server(running):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", running.port))


def test_every_answer_forbids_requests_to_elsewhere(running):
    for path in ("", "page.js", "api/describe", "api/none"):
        response, _ = get(running, path)
        assert "default-src 'self'" in response.headers["content-security-policy"]
        assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["../src/errors.py", "%2e%2e/explorer.py", "..%2fexplorer.py", "//etc/passwd", "none"])
def test_no_file_beside_the_page(running, path):
    assert get(running, path)[0].status in (403, 404)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("segment?image=folder/../a.png", "no such image"),
        ("segment?image=folder/%2e%2e/%2e%2e/etc/passwd", "no such image"),
        ("image?image=folder//etc/passwd.png", "no such image"),
        ("segment?image=folder/broken.png", "broken.png: unreadable image"),
        ("segment", "image: missing"),
        ("none", "no such question"),
        ("pixel?image=folder/a.png&row=40&column=0", "outside the image of 40x60"),
        ("pixel?image=folder/a.png&row=-1&column=0", "row: '-1' is not a whole number"),
        ("pixel?image=folder/a.png&row=1e3&column=0", "is not a whole number"),
        ("map?image=folder/a.png&map=x&category=0&row=0&column=0", "x: this model has no such map"),
        ("map?image=folder/a.png&map=probability&category=3&row=0&column=0", "this model has 3 classes"),
    ],
)
def test_wrong_questions(running, path, message):
    response, data = get(running, f"api/{path}")
    assert response.status == 400 and message in json.loads(data)["error"]


def test_upload(running, monkeypatch):
    response, data = get(running, "upload?name=mine.png", method="POST", body=PNG)
    key = json.loads(data)["key"]
    assert response.status == 200 and key == "upload/1"
    assert get(running, f"api/segment?image={key}")[0].status == 200
    response, data = get(running, "upload?name=mine.png", method="POST", body=b"no image")
    assert response.status == 400 and "mine.png: unreadable" in json.loads(data)["error"]
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    response, data = get(running, "upload?name=mine.png", method="POST", body=PNG)
    assert response.status == 400 and "mine.png: has more than" in json.loads(data)["error"]


def test_two_requests_at_once_take_turns(running):
    running.model.go_on.clear()
    first, second = connect(running), connect(running)
    first.request("GET", f"/{TOKEN}/api/segment?image=folder/a.png")
    second.request("GET", f"/{TOKEN}/api/segment?image=folder/a.png")
    assert running.model.entered.wait(60)
    assert get(running, "page.js")[0].status == 200  # served meanwhile
    running.model.go_on.set()
    assert [json.loads(one.getresponse().read())["height"] for one in (first, second)] == [40, 40]
    assert running.model.calls == 1


def test_questions_of_a_page_that_has_gone_are_dropped(running):
    running.model.go_on.clear()
    first, gone = connect(running), connect(running)
    first.request("GET", f"/{TOKEN}/api/segment?image=folder/a.png")
    assert running.model.entered.wait(60)
    gone.request("GET", f"/{TOKEN}/api/segment?image=folder/b.png")
    gone.close()
    assert running.jobs.dropped.wait(60)
    running.model.go_on.set()
    assert first.getresponse().status == 200
    assert get(running, "api/describe")[0].status == 200
    assert running.model.calls == 1  # b.png was not segmented


def test_a_broken_upload_does_no_harm(running):
    connection = connect(running)
    connection.putrequest("POST", f"/{TOKEN}/upload?name=a.png")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"half")
    connection.close()
    assert get(running, "api/describe")[0].status == 200


def test_a_taken_port(running):
    with pytest.raises(module.UserError, match=f"--port {running.port}: Address already in use; choose another"):
        module.Server(None, running.port)
