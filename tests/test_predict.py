"""What predict finds, how it calls the results, and videos with a network that is a formula."""

import re
import signal
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from src import api
from src.errors import UserError
from src.tools.predict.frames import Frames, VideoFile
from src.tools.predict.inputs import Input, check_targets, find_inputs
from src.tools.predict.videos import Smoother, segment_video
from tests.commands import run_inside
from tests.untrained import write_run

COLORS = [[0, 0, 0], [255, 0, 0]]


class Brightness:
    """As `src.api.Model`: a pixel's probability of class 1 is its first color, of 255."""

    colors = COLORS

    def predict(self, rgb):
        share = rgb[..., 0].astype(np.float32) / 255
        return SimpleNamespace(probabilities=np.stack([1 - share, share]))

    def ids(self, rgb):
        return self.predict(rgb).probabilities.argmax(0).astype(np.uint8)


@pytest.fixture
def photos(tmp_path):
    """photos/a.jpg, photos/a.png, photos/sub/b.JPG, photos/sub/deep/c.mp4 and a text."""
    root = tmp_path / "photos"
    (root / "sub" / "deep").mkdir(parents=True)
    for name in ("a.jpg", "a.png", "sub/b.JPG", "sub/deep/c.mp4", "notes.txt"):
        (root / name).write_bytes(b"x")
    return root


def found(words, output):
    return {str(one.name): one.source for one in find_inputs(map(str, words), output)}


def test_folders_are_searched_to_their_depths_and_names_keep_the_path(photos, tmp_path):
    names = found([photos], tmp_path / "out")
    assert list(names) == ["a.jpg", "a.png", "sub/b", "sub/deep/c"]  # where two share a name, the ending stays
    assert names["sub/b"] == photos / "sub" / "b.JPG"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.png", ["a"]),
        ("**/*.mp4", ["sub/deep/c"]),
        ("sub/*", ["b"]),
        ("s*/*", ["sub/b"]),
        ("**/[bc].*", ["sub/b", "sub/deep/c"]),
    ],
)
def test_patterns(photos, tmp_path, pattern, names):
    assert list(found([photos / pattern], tmp_path / "out")) == names


def test_several_inputs_are_named_below_the_folder_they_share(photos, tmp_path):
    names = found([photos / "sub" / "b.JPG", photos / "a.png", photos / "sub" / "deep"], tmp_path / "out")
    assert list(names) == ["a", "sub/b", "sub/deep/c"]
    assert list(found([photos / "sub" / "b.JPG"], tmp_path / "out")) == ["b"]


def test_results_inside_the_folder_are_not_taken(photos):
    (photos / "out").mkdir()
    (photos / "out" / "a_color.png").write_bytes(b"x")
    assert "out/a_color" in found([photos], photos / "elsewhere")
    assert not any(name.startswith("out") for name in found([photos], photos / "out"))


def test_a_camera_is_a_number_unless_a_file_has_that_name(tmp_path, monkeypatch):
    assert found(["0"], tmp_path) == {"camera_0": 0}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "0").write_bytes(b"x")
    assert found(["0"], tmp_path / "out")["0"].name == "0"


def test_nothing_found(tmp_path):
    for word in (str(tmp_path), str(tmp_path / "*.jpg"), str(tmp_path / "no.jpg")):
        with pytest.raises(UserError, match="no image or video found"):
            find_inputs([word], tmp_path / "out")


def test_results_that_would_replace_something(photos, tmp_path):
    def endings(_):
        return ".png", "_color.png"

    inputs = [Input(photos / "a.jpg", photos.relative_to(tmp_path) / "a")]
    with pytest.raises(UserError, match=r"the result .*photos/a.png would replace an input"):
        check_targets([*inputs, Input(photos / "a.png", "b")], endings, tmp_path)
    with pytest.raises(UserError, match=r"both results would be .*x_color.png"):
        check_targets([Input(photos / "x.jpg", "x"), Input(photos / "x_color.jpg", "x_color")], endings, tmp_path)


def write_video(path, frames, rate=8.0):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (width, height))
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    return path


@pytest.fixture
def film(tmp_path):
    """Ten frames of 32x48: the left half bright, and in frame 5 the right half as well."""
    frames = []
    for index in range(10):
        frame = np.zeros((32, 48, 3), np.uint8)
        frame[:, :24] = 250
        if index == 5:
            frame[:, 24:] = 200
        frames.append(frame)
    return write_video(tmp_path / "film.avi", frames)


def test_a_video_becomes_a_video(film, tmp_path):
    line = segment_video(Brightness(), Input(film, "film"), tmp_path / "out" / "film.mp4", side_by_side=True)
    assert "film.mp4: 10 frames, " in line and " frames/s" in line and "could not" not in line
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["film.mp4"]
    frames = Frames(tmp_path / "out" / "film.mp4")
    shown = list(frames)
    assert (len(shown), frames.rate, shown[0].shape) == (10, 8.0, (32, 96, 3))
    left, right = shown[0][16, 12].astype(int), shown[0][16, 60].astype(int)
    assert left.min() > 230  # the frame
    assert right[0] > 230 and right[1] < 150  # the overlay, red
    assert len(list(Frames(film, limit=3))) == 3


def test_smoothing_is_off_unless_asked_for(film):
    def last_column(share):
        segment = Smoother(Brightness(), share)
        return [int(segment(frame)[16, 40]) for frame in Frames(film)]

    assert last_column(0.0) == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert last_column(0.9) == [0] * 10


def test_broken_frames_are_counted(film, tmp_path):
    data = bytearray(film.read_bytes())
    fourth = list(re.finditer(b"\xff\xd8.*?\xff\xd9", data, re.DOTALL))[3]
    data[fourth.start() : fourth.end()] = bytes(fourth.end() - fourth.start())
    film.write_bytes(data)
    line = segment_video(Brightness(), Input(film, "film"), tmp_path / "film.mp4")
    assert "9 frames" in line and "; 1 could not be read" in line


def test_reading_goes_on_behind_a_broken_frame(film, tmp_path):
    segment_video(Brightness(), Input(film, "film"), tmp_path / "film.mp4")
    data = bytearray((tmp_path / "film.mp4").read_bytes())
    frame = [header.start() for header in re.finditer(b"\x00\x00\x01\xb6", data)][4]
    data[frame : frame + 4] = bytes(4)
    (tmp_path / "film.mp4").write_bytes(data)
    frames = Frames(tmp_path / "film.mp4")
    assert (len(list(frames)), frames.broken) == (9, 1)


def test_what_is_no_video(film):
    film.write_bytes(b"no video")
    with pytest.raises(UserError, match=r"film.avi: cannot be read as a video"):
        Frames(film)


class Camera:
    """As `cv2.VideoCapture`: the second read fails, and at the fifth the user presses Ctrl-C."""

    def __init__(self, index):
        self.reads = 0

    def isOpened(self):
        return True

    def get(self, _):
        return 0.0

    def read(self):
        self.reads += 1
        if self.reads == 5:
            raise KeyboardInterrupt
        return self.reads != 2, np.zeros((32, 32, 3), np.uint8)

    def release(self):
        pass


def use_camera(monkeypatch):
    """Files are read as ever."""
    opened = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: (Camera if isinstance(source, int) else opened)(source))


def test_a_camera_runs_until_ctrl_c(tmp_path, monkeypatch):
    use_camera(monkeypatch)
    line = segment_video(Brightness(), Input(0, "camera_0"), tmp_path / "camera.mp4")
    assert "3 frames" in line and "; 1 could not be read" in line
    monkeypatch.undo()
    assert len(list(Frames(tmp_path / "camera.mp4"))) == 3


def test_sigterm_ends_a_camera_and_keeps_the_video(tmp_path, monkeypatch):
    """As MindSpore makes of Ctrl-C while a graph runs."""
    before = signal.getsignal(signal.SIGTERM)

    def read(self):
        self.reads += 1
        if self.reads == 4:
            signal.raise_signal(signal.SIGTERM)
        return True, np.zeros((32, 32, 3), np.uint8)

    monkeypatch.setattr(Camera, "read", read)
    use_camera(monkeypatch)
    line = segment_video(Brightness(), Input(0, "camera_0"), tmp_path / "camera.mp4")
    assert "3 frames" in line
    assert signal.getsignal(signal.SIGTERM) is before
    monkeypatch.undo()
    assert len(list(Frames(tmp_path / "camera.mp4"))) == 3


def test_no_camera(monkeypatch):
    monkeypatch.setattr(Camera, "isOpened", lambda _: False)
    use_camera(monkeypatch)
    with pytest.raises(UserError, match="--input 7: there is no such camera"):
        Frames(7)


def test_a_video_that_cannot_be_written(film, tmp_path, monkeypatch):
    monkeypatch.setattr(cv2.VideoWriter, "fourcc", lambda *_: 0x21212121)
    with pytest.raises(UserError, match="this OpenCV cannot write it"):
        segment_video(Brightness(), Input(film, "film"), tmp_path / "out" / "film.mp4")
    assert not list((tmp_path / "out").glob("*.mp4"))


def test_a_video_of_which_frames_are_lost_is_not_kept(film, tmp_path, monkeypatch):
    """As on a full disk: OpenCV says nothing."""
    add = VideoFile.add

    def lose(self, frame):
        add(self, frame)
        self.frames += 1

    monkeypatch.setattr(VideoFile, "add", lose)
    with pytest.raises(UserError, match=r"out.film.mp4: \d+ of \d+ frames could be written; make room and try again"):
        segment_video(Brightness(), Input(film, "film"), tmp_path / "out" / "film.mp4")
    assert not list((tmp_path / "out").iterdir())


def test_an_interrupted_file_leaves_what_was_done(film, tmp_path, monkeypatch):
    def ids(self, rgb, count=[]):  # noqa: B006
        count.append(1)
        if len(count) == 4:
            raise KeyboardInterrupt
        return np.zeros(rgb.shape[:2], np.uint8)

    monkeypatch.setattr(Brightness, "ids", ids)
    with pytest.raises(KeyboardInterrupt):
        segment_video(Brightness(), Input(film, "film"), tmp_path / "film.mp4")
    assert len(list(Frames(tmp_path / "film.mp4"))) == 3


def test_the_command_goes_on_after_a_broken_input(tmp_path, film, monkeypatch, capsys):
    """Without --config; images, a broken one, and a video in one go."""
    run = write_run(tmp_path / "run", "fpn")
    monkeypatch.setattr(api.Model, "__init__", lambda self, *_, **__: None)
    monkeypatch.setattr(api.Model, "ids", lambda _, rgb: Brightness().ids(rgb))
    monkeypatch.setattr(api.Model, "colors", COLORS, raising=False)
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    film.rename(folder / "sub" / "film.avi")
    (folder / "broken.jpg").write_bytes(b"nothing")
    cv2.imwrite(str(folder / "sub" / "good.png"), np.full((40, 40, 3), 255, np.uint8))
    arguments = ["--checkpoint", run, "--input", folder, "--output", tmp_path / "out", "--side-by-side"]
    assert run_inside(monkeypatch, "src.tools.predict", *arguments) == 2
    printed = capsys.readouterr()
    assert "1 of 3 inputs were not segmented" in printed.err
    assert "broken.jpg: unreadable image" in printed.err
    written = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    good = ["sub/good.png", "sub/good_color.png", "sub/good_side_by_side.png"]
    assert written == ["sub/film_side_by_side.mp4", *good]


@pytest.mark.parametrize(
    ("extra", "message"),
    [(["--smooth", "1"], "--smooth 1: expected 0 to below 1"), (["--frames", "0"], "--frames 0: expected 1 or more")],
)
def test_bad_numbers(small_config, film, tmp_path, monkeypatch, capsys, extra, message):
    arguments = ["--config", small_config, "--checkpoint", "x.ckpt", "--input", film, "--output", tmp_path / "out"]
    assert run_inside(monkeypatch, "src.tools.predict", *arguments, *extra) == 2
    assert message in capsys.readouterr().err


def test_pictures_of_the_inside_that_would_replace_a_result(tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path / "run", "ecenet")
    for name in ("a", "a_masks"):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), np.zeros((40, 40, 3), np.uint8))
    arguments = ["--checkpoint", run, "--input", tmp_path / "*.jpg", "--output", tmp_path / "out"]
    assert run_inside(monkeypatch, "src.tools.predict", *arguments, "--explain") == 2
    assert f"both results would be {tmp_path / 'out' / 'a_masks.png'}; rename one of them" in capsys.readouterr().err
