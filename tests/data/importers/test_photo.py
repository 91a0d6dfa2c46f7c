"""Photos that are stored lying on their side, and images in other colors and formats."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from src.data.decoding import decode_image
from src.data.importers.photo import ORIENTATION
from tests.data.importers import known as k

SIZE = (40, 56)  # upright, height x width
UPRIGHT = np.zeros((*SIZE, 3), np.uint8)
UPRIGHT[4:20, 30:52] = (250, 30, 30)
LABEL = (UPRIGHT[..., 0] > 0).astype(np.uint8)
BACK = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that undoes what the tag asks for


def write_photo(path, orientation):
    """A JPEG that viewers show as ``UPRIGHT`` by its tag."""
    image = Image.fromarray(UPRIGHT)
    if BACK[orientation] is not None:
        image = image.transpose(Image.Transpose(BACK[orientation]))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif, quality=98, subsampling=0)


def coco_of(names, size):
    """A red box in each image; ``size`` is what the file states."""
    entries = [{"id": i, "file_name": name, "height": size[0], "width": size[1]} for i, name in enumerate(names)]
    box = [[30, 4, 52, 4, 52, 20, 30, 20]]
    shapes = [{"id": i, "image_id": i, "category_id": 1, "segmentation": box} for i in range(len(names))]
    return {"images": entries, "annotations": shapes, "categories": [{"id": 1, "name": "red"}]}


def imported(output):
    """Image (as training decodes it) and label by name."""
    found = {}
    for path in output.glob("images/*/*"):
        label = output / "annotations" / path.parent.name / f"{path.stem}.png"
        found[path.stem] = decode_image(np.frombuffer(path.read_bytes(), np.uint8)), cv2.imread(str(label), -1)
    return found


def test_photos_are_written_upright_where_the_label_was_drawn(photos, run, tmp_path):
    names = [f"p{orientation}.jpg" for orientation in BACK]
    for orientation, name in zip(BACK, names, strict=True):
        write_photo(photos / name, orientation)
        assert np.abs(np.asarray(ImageOps.exif_transpose(Image.open(photos / name))).astype(int) - UPRIGHT).max() < 60
    report = run("coco", k.write_json(tmp_path / "labels.json", coco_of(names, SIZE)))
    for name, (image, label) in imported(tmp_path / "out").items():
        np.testing.assert_array_equal(label, LABEL)
        assert image.shape[:2] == SIZE, name
        assert np.abs(image.astype(int) - UPRIGHT).mean() < 3, name
    assert report.notes["photos turned upright as their EXIF tag says, and encoded anew"] == 7
    copies = {path.name: path for path in (tmp_path / "out").glob("images/*/*")}
    assert copies["p1.jpg"].read_bytes() == (photos / "p1.jpg").read_bytes()
    assert all(Image.open(path).getexif().get(ORIENTATION, 1) == 1 for path in copies.values())  # never turned twice


def test_a_label_of_the_photo_as_stored_is_refused_with_the_way_out(photos, refused, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        write_photo(photos / name, 6)
    message = refused("coco", k.write_json(tmp_path / "labels.json", coco_of(["a.jpg", "b.jpg"], SIZE[::-1])))
    assert "a.jpg: its EXIF tag turns it to 40x56 (height x width), but its label is 56x40" in message
    assert "exiftool -Orientation= b.jpg" in message


def test_masks_are_checked_against_the_upright_photo(photos, run, refused, tmp_path):
    classes = tmp_path / "classes.yaml"
    classes.write_text("classes: [{name: rest, color: [0, 0, 0]}, {name: red, color: [9, 9, 9]}]")
    for name in ("a", "b"):
        write_photo(photos / f"{name}.jpg", 8)
        k.save(tmp_path / "masks" / f"{name}.png", np.where(LABEL[..., None], 9, np.zeros(3)).astype(np.uint8))
    run("colors", tmp_path / "masks", classes=classes, output=tmp_path / "good")
    assert all((label == LABEL).all() for _, label in imported(tmp_path / "good").values())
    k.save(tmp_path / "masks" / "a.png", np.zeros((*SIZE[::-1], 3), np.uint8))
    assert "drawn on the photo as stored" in refused("colors", tmp_path / "masks", classes=classes)


@pytest.mark.parametrize(
    ("mode", "suffix", "kept"),
    [
        ("L", ".png", True), ("P", ".png", True), ("RGBA", ".png", True), ("1", ".png", True), ("RGB", ".bmp", True),
        ("L", ".jpg", True), ("CMYK", ".jpg", False), ("RGB", ".webp", False), ("RGB", ".tif", False),
    ],
)  # fmt: skip
def test_other_colors_and_formats(mode, suffix, kept, photos, run, tmp_path):
    """What training reads is copied, the rest converted; either way training sees the picture."""
    photos.mkdir()
    names = [f"a{suffix}", f"b{suffix}"]
    options = {"lossless": True} if suffix == ".webp" else {}
    for name in names:
        Image.fromarray(UPRIGHT).convert(mode).save(photos / name, **options)
    report = run("coco", k.write_json(tmp_path / "labels.json", coco_of(names, SIZE)))
    found = imported(tmp_path / "out")
    copies = sorted((tmp_path / "out").glob("images/*/a.*"))
    assert (copies[0].read_bytes() == (photos / names[0]).read_bytes()) is kept
    assert report.notes.get("images converted to a format and colors that training reads", 0) == (0 if kept else 2)
    expected = np.asarray(Image.fromarray(UPRIGHT).convert(mode).convert("RGB")).astype(int)
    assert np.abs(found["a"][0].astype(int) - expected).mean() < 4


@pytest.mark.parametrize("mode", ["I;16", "16 bits of color"])
def test_more_than_8_bits_are_refused_by_name(mode, photos, refused, tmp_path):
    photos.mkdir()
    deep = np.zeros(SIZE if mode == "I;16" else (*SIZE, 3), np.uint16)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(photos / name), deep)
    message = refused("coco", k.write_json(tmp_path / "labels.json", coco_of(["a.png", "b.png"], SIZE)))
    assert f"{photos / 'a.png'}: more than 8 bits per color" in message


def test_unreadable_images_are_all_named(photos, refused, tmp_path):
    photos.mkdir()
    Image.fromarray(UPRIGHT).save(photos / "whole.jpg")
    (photos / "short.jpg").write_bytes((photos / "whole.jpg").read_bytes()[:-300])
    (photos / "text.png").write_text("not an image")
    (photos / "phone.heic").write_text("ftypheic")
    names = ["whole.jpg", "short.jpg", "text.png", "phone.heic"]
    message = refused("coco", k.write_json(tmp_path / "labels.json", coco_of(names, SIZE)))
    assert message.startswith("3 problems")
    assert "short.jpg: unreadable image (image file is truncated" in message
    assert "text.png: unreadable image (not an image file)" in message
    assert "phone.heic: unreadable image (.heic is not read here; convert it to JPEG" in message
