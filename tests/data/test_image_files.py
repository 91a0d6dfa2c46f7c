"""Images as phones and tools write them: upright, converted, or refused with the reason."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from src.data.catalog import load_dataset_info
from src.data.decoding import decode_image
from src.data.folders import list_samples
from src.data.image_file import ORIENTATION, read_image
from src.data.mindrecord import write_records
from src.data.pipeline import EvalPipeline
from src.errors import UserError
from tests.data.raw_data import CLASSES, folder_config, stripes

HEIGHT, WIDTH = 24, 32


def scene() -> np.ndarray:
    """RGB with no symmetry: a red corner at the top left, a green one at the top right, blue below."""
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    image[:8, :8], image[:8, -8:], image[-8:, :16] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    return image


def save(path, image=None, orientation=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(scene()) if image is None else image
    if orientation:
        options["exif"] = Image.Exif()
        options["exif"][ORIENTATION] = orientation
    picture.save(path, **options)
    return path


def save_label(path, label=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(stripes() if label is None else label).save(path, **options)


def decoded(path) -> np.ndarray:
    return decode_image(np.frombuffer(read_image(path).data, np.uint8))


@pytest.fixture
def root(tmp_path):
    """A set of one training image in every test's own way; the label is of 24x32."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "classes.yaml").write_text(CLASSES)
    save_label(tmp_path / "raw/annotations/train/a.png")
    return tmp_path / "raw"


def write(root):
    return write_records(load_dataset_info("folder", root), root, root.parent / "records", ["train"])


def refusal(root) -> str:
    with pytest.raises(UserError) as caught:
        write(root)
    return str(caught.value)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_every_orientation_is_read_as_viewers_show_it(tmp_path, orientation, suffix):
    path = save(tmp_path / f"a{suffix}", orientation=orientation, **({"lossless": True} if suffix == ".webp" else {}))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.abs(decoded(path).astype(int) - expected).max() <= 8  # two JPEG decoders differ a little
    file = read_image(path)
    assert file.orientation == orientation and "turned upright by the orientation tag" in file.notes
    assert file.size == expected.shape[:2]


def test_the_label_of_a_turned_photo_lies_as_the_photo_is_shown(root):
    save(root / "images/train/a.jpg", orientation=6, quality=95)
    upright = np.rot90(stripes(), -1).copy()
    save_label(root / "annotations/train/a.png", upright)
    metadata = write(root)
    assert metadata.split("train").notes == {"turned upright by the orientation tag": 1}
    assert metadata.split("train").size == [WIDTH, HEIGHT]
    ((image, label, _),) = EvalPipeline(root.parent / "records", "train", folder_config(root.parent / "records"))
    np.testing.assert_array_equal(label, upright)
    corner = image[0, :, 3, -4]  # what was at the top left is at the top right
    assert corner[0] > 1 and corner[1] < -1 and corner[2] < -1


def test_a_label_drawn_on_the_photo_as_stored_is_named_with_both_mends(root):
    save(root / "images/train/a.jpg", orientation=6)
    message = refusal(root)
    for piece in ("a.png: label is 24x32, its image 32x24 once its orientation tag (6) is applied",
                  "turn the label the same way", "exiftool -Orientation= IMAGE"):  # fmt: skip
        assert piece in message


def test_an_orientation_that_opencv_does_not_see_is_refused(root):
    """Pillow reads it from XMP too; the records' decoder would leave the image lying."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    save(root / "images/train/a.jpg", xmp=xmp)
    assert "orientation tag (6) is not understood by all programs; save the image upright" in refusal(root)


@pytest.mark.parametrize(
    ("suffix", "mode", "note"),
    [
        (".png", "RGB", None),
        (".png", "L", None),
        (".jpg", "L", None),
        (".png", "1", "one bit per pixel made gray"),
        (".png", "P", "palette replaced by its colors"),
        (".png", "RGBA", "transparency dropped"),
        (".png", "LA", "transparency dropped"),
        (".jpg", "CMYK", "CMYK converted to RGB without a color profile"),
        (".bmp", "RGB", "BMP stored as PNG"),
        (".tif", "RGB", "TIFF stored as PNG"),
        (".tiff", "L", "TIFF stored as PNG"),
        (".webp", "RGB", "WEBP stored as PNG"),
    ],
)
def test_formats_and_modes(root, suffix, mode, note):
    image = Image.fromarray(scene()).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(90)
    options = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0} if mode == "CMYK" else {}}
    path = save(root / f"images/train/a{suffix}", image, **options.get(suffix, {}))
    expected = np.asarray((image if mode != "LA" else image.convert("L")).convert("RGB"))
    assert np.abs(decoded(path).astype(int) - expected).mean() < 3
    facts = write(root).split("train")
    assert facts.notes == ({note: 1} if note else {})
    data = read_image(path).data
    assert (data == path.read_bytes()) == (note is None)
    assert data[:4] == b"\x89PNG" or data[:2] == b"\xff\xd8"


@pytest.mark.parametrize("kind", ["gray png", "color png", "gray tif", "color tif", "float tif"])
def test_deep_images_are_refused(root, kind):
    shape = (HEIGHT, WIDTH) if "color" not in kind else (HEIGHT, WIDTH, 3)
    pixels = np.full(shape, 4000, np.float32 if "float" in kind else np.uint16)
    (root / "images/train").mkdir(parents=True)
    path = root / f"images/train/a.{kind.split()[1]}"
    cv2.imwrite(str(path), pixels)
    message = refusal(root)
    assert f"{path}: " in message and "more than 8 bits per color" in message


def test_several_pages_and_other_color_modes_are_refused(root):
    page = Image.fromarray(scene())
    path = save(root / "images/train/a.tif", page, save_all=True, append_images=[page])
    assert f"{path}: holds 2 images, expected one" in refusal(root)
    path.unlink()
    path = save(root / "images/train/a.tif", Image.new("LAB", (WIDTH, HEIGHT)))
    assert f"{path}: color mode LAB is not read; convert the image to RGB" in refusal(root)


def test_a_jpeg_with_more_pictures_behind_it_is_a_jpeg(root):
    """Phones write a preview or a depth map behind the photo."""
    page = Image.fromarray(scene())
    path = save(root / "images/train/a.jpg", page, format="MPO", save_all=True, append_images=[page])
    assert read_image(path).data == path.read_bytes()
    assert write(root).split("train").notes == {}


@pytest.mark.parametrize("suffix", [".heic", ".gif", ".dng"])
def test_images_of_other_formats_are_named_and_not_passed_over(root, suffix):
    save(root / "images/train/a.png")
    (root / f"images/train/b{suffix}").write_bytes(b"x")
    message = refusal(root)
    assert f"b{suffix}: " in message and "convert it to" in message
    (root / f"images/train/b{suffix}").rename(root / f"images/train/a{suffix}")  # the original beside its conversion
    assert write(root).split("train").count == 1


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_labels_are_refused(root, suffix):
    save(root / "images/train/a.png")
    (root / "annotations/train/a.png").unlink()
    save_label(root / f"annotations/train/a{suffix}")
    message = refusal(root)
    assert f"a{suffix}: " in message and "lossy" in message and "export PNG" in message


def test_a_lossy_label_with_a_wrong_name_is_refused(root):
    save(root / "images/train/a.png")
    save_label(root / "annotations/train/a.png", format="JPEG")
    assert "a.png: label in JPEG, which is lossy" in refusal(root)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_labels_belong_to_an_image_by_stem_whatever_their_suffix(root, suffix, kind):
    if suffix == ".bmp" and kind == np.uint16:
        pytest.skip("BMP has no 16-bit values")
    save(root / "images/train/a.jpg")
    (root / "annotations/train/a.png").unlink()
    save_label(root / f"annotations/train/a{suffix}", stripes().astype(kind))
    write(root)
    ((_, label, _),) = EvalPipeline(root.parent / "records", "train", folder_config(root.parent / "records"))
    np.testing.assert_array_equal(label, stripes())


def test_labels_of_numbers_with_a_fraction_or_out_of_range_are_refused(root):
    save(root / "images/train/a.jpg")
    (root / "annotations/train/a.png").unlink()
    save_label(root / "annotations/train/a.tif", stripes().astype(np.float32))
    assert "label in mode F; expected one channel of class values" in refusal(root)
    for value in (-1, 70_000):
        save_label(root / "annotations/train/a.tif", np.full((HEIGHT, WIDTH), value, np.int32))
        assert f"label value {value} (768 pixels) is outside the map" in refusal(root)


def test_folders_below_a_split(root):
    for folder in ("monday", "tuesday/roof"):
        save(root / "images/train" / folder / "a.jpg")
        save_label(root / "annotations/train" / folder / "a.png")
    save(root / "images/train/a.jpg")
    (root / "images/train/.thumbnails").mkdir()
    save(root / "images/train/.thumbnails/x.jpg")
    names = ["a", "monday/a", "tuesday/roof/a"]
    assert [sample.name for sample in list_samples(load_dataset_info("folder", root), root, "train")] == names
    write(root)
    samples = EvalPipeline(root.parent / "records", "train", folder_config(root.parent / "records"))
    assert [name for *_, name in samples] == names
    label = root / "annotations/train/tuesday/roof/a.png"
    label.unlink()
    with pytest.raises(UserError) as caught:
        list_samples(load_dataset_info("folder", root), root, "train")
    assert f"roof/a.jpg: no label {label}" in str(caught.value)
