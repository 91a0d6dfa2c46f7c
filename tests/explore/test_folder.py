"""Which images can be explored, and which are refused."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from src.errors import UserError
from src.explore.folder import MOST_UPLOADS, Folder


def png(height=40, width=60):
    return cv2.imencode(".png", np.full((height, width, 3), 90, np.uint8))[1].tobytes()


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "photos"
    (inside / "deep").mkdir(parents=True)
    for name in ("b.png", "a.PNG", "deep/c.png", "notes.txt"):
        (inside / name).write_bytes(png())
    (tmp_path / "secret.png").write_bytes(png())
    (tmp_path / "photos_too").mkdir()
    (tmp_path / "photos_too" / "secret.png").write_bytes(png())
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    (inside / "loop.png").symlink_to(inside / "loop.png")
    return Folder(inside, 1.0)


def test_images_of_the_folder_and_its_subfolders(folder):
    assert folder.keys() == ["folder/a.PNG", "folder/b.png", "folder/deep/c.png"]
    assert folder.read("folder/deep/c.png").rgb.shape == (40, 60, 3)


@pytest.mark.parametrize(
    "key",
    [
        "folder/../secret.png", "folder/deep/../../secret.png", "folder/../photos_too/secret.png", "folder/link.png",
        "folder/loop.png", "folder/notes.txt", "folder/none.png", "folder/\0.png", "folder/", "folder", "", "upload/1",
        "../secret.png", "other/b.png", pytest.param(f"folder/{'x' * 5000}.png", id="long"),
    ],
)  # fmt: skip
def test_nothing_else_is_read(folder, key):
    with pytest.raises(UserError, match="no such image"):
        folder.read(key)


def test_absolute_paths_are_not_read(folder):
    with pytest.raises(UserError, match="no such image"):
        folder.read(f"folder/{folder.root.parent / 'secret.png'}")


@pytest.mark.parametrize("data", [b"", b"no image", png()[:60], png()[:-30]])
def test_broken_images(folder, data):
    (folder.root / "b.png").write_bytes(data)
    with pytest.raises(UserError, match="b.png: unreadable image"):
        folder.read("folder/b.png")
    with pytest.raises(UserError, match="mine.png: unreadable image"):
        folder.upload(data, "mine.png")


def test_large_images_are_scaled_down(folder):
    cv2.imwrite(str(folder.root / "large.jpg"), np.zeros((5000, 10000, 3), np.uint8))  # 50 megapixels
    picture = folder.read("folder/large.jpg")
    assert picture.rgb.shape == (707, 1414, 3)
    assert picture.notes == ("10000 x 5000 pixels scaled down to 1414 x 707",)


def test_huge_images_are_refused_from_their_header(folder):
    data = io.BytesIO()
    Image.new("1", (10000, 8100)).save(data, "PNG")
    with pytest.raises(UserError, match="81 megapixels, at most 80"):
        folder.upload(data.getvalue(), "huge.png")


def test_the_newest_uploads_are_kept(folder):
    keys = [folder.upload(png(40 + i), "photo.png") for i in range(MOST_UPLOADS + 1)]
    assert len(set(keys)) == len(keys)
    assert [len(folder.read(key).rgb) for key in keys[1:]] == [40 + i for i in range(1, MOST_UPLOADS + 1)]
    with pytest.raises(UserError, match="no such image"):
        folder.read(keys[0])


def test_other_color_modes_are_told(folder):
    data = io.BytesIO()
    Image.new("RGBA", (40, 40), (10, 20, 30, 40)).save(data, "PNG")
    picture = folder.read(folder.upload(data.getvalue(), "a.png"))
    assert picture.rgb[0, 0].tolist() == [10, 20, 30]
    assert picture.notes == ("transparency dropped",)
