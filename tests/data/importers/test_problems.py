"""What is wrong with labels is named, all of it together, and nothing is written."""

import numpy as np
import pytest

from tests.data.importers import known as k


@pytest.fixture
def coco(known, tmp_path):
    """Values of a COCO file, and a function that writes them."""
    return k.coco_values(known), lambda values: k.write_json(tmp_path / "labels.json", values)


def test_all_problems_of_a_coco_file_are_listed_together(coco, refused, photos):
    values, write = coco
    values["images"][0]["file_name"] = "scene/lost.png"
    values["images"][1]["file_name"] = "../outside.jpg"
    values["images"][2]["width"] = 49
    values["images"][3]["file_name"] = "/etc/passwd.png"
    values["annotations"] = [
        {"id": 1, "image_id": 104, "category_id": 3, "segmentation": [[0, 0, 9, 9]]},
        {"id": 2, "image_id": 104, "category_id": 4, "segmentation": [[0, 0, 9, 9, 0, 9]]},
        {"id": 3, "image_id": 7, "category_id": 3, "segmentation": [[0, 0, 9, 9, 0, 9]]},
        {"id": 4, "image_id": 104, "category_id": 3, "segmentation": [[0, 0, 9, 9, 0]]},
        {"id": 5, "image_id": 104, "category_id": 3, "segmentation": [[0, 0, 9, float("nan"), 0, 9]]},
        {"id": 6, "image_id": 104, "category_id": 3, "segmentation": [0, 0, 9, 9, 0, 9]},
        {"id": 7, "image_id": 104, "category_id": 3, "segmentation": [[0, 0, 1e9, 9, 0, 9]]},
        *values["annotations"],
    ]
    message = refused("coco", write(values))
    assert message.startswith("11 problems in the labels or images; nothing was written:")
    for part in (
        f"labels.json: image 100: no image {photos / 'scene/lost.png'}",
        "labels.json: image 101: file name '../outside.jpg' is refused",
        "file name '/etc/passwd.png' is refused",
        "c2.jpg: the image is 64x48 (height x width), its label was made for 64x49",
        "annotation 1 of c4.jpg: a polygon of 2 points; it needs 3",
        "annotation 2: category_id 4 is not among the categories",
        "annotation 3: image_id 7 is not among the images",
        "annotation 4 of c4.jpg: 5 coordinates are not pairs",
        "annotation 5 of c4.jpg: a coordinate is not finite",
        "annotation 6 of c4.jpg: segmentation: expected a list of polygons",
        "annotation 7 of c4.jpg: a coordinate is not finite or beyond 1e+06 pixels",
    ):
        assert part in message, part


@pytest.mark.parametrize(
    "name", ["..\\x.png", "C:\\x.png", "C:x.png", "a/../../x.png", "\\\\host\\x.png", "", "a\nb.png", "\x00.png"]
)
def test_names_that_lead_out_of_the_folder_are_refused(name, coco, refused):
    values, write = coco
    values["images"][0]["file_name"] = name
    assert f"file name {name!r} is refused" in refused("coco", write(values))


def test_an_image_found_elsewhere_is_pointed_out(coco, refused, photos):
    values, write = coco
    values["images"][0]["file_name"] = "other/a.png"
    values["images"][1]["file_name"] = "B.JPG"
    message = refused("coco", write(values))
    assert f"; there is {photos / 'scene' / 'a.png'}: rename it, or give --images the folder" in message
    assert f"; there is {photos / 'b.jpg'}: rename it" in message


def test_one_image_with_two_labels(coco, refused, known):
    values, write = coco
    values["images"][1] = {**values["images"][0], "id": 101}
    message = refused("coco", write(values))
    assert "a.png: two labels," in message
    assert "image 100 and" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "labels.json: not a JSON file (Expecting property name"),
        ("[]", "labels.json: expected a JSON object, found a list"),
        ("{}", "labels.json: 'images' is missing"),
        ('{"images": {}}', "labels.json: images: expected a list, found {}"),
        ('{"images": [], "annotations": [{"segments_info": []}], "categories": []}', "a panoptic file"),
        (
            '{"images": [], "annotations": [], "categories": [7]}',
            "category 7: expected an object with 'name', found a whole number",
        ),
        (
            '{"images": [], "annotations": [], "categories": []}',
            "two classes at least, each with a name; the labels have",
        ),
        ("[" * 100_000, "labels.json: not a JSON file"),
    ],
)
def test_broken_coco_files(text, message, known, refused, tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(text)
    assert message in refused("coco", path)


def test_a_file_without_annotations_says_so(coco, refused):
    values, write = coco
    message = refused("coco", write({**values, "annotations": []}))
    assert message == "0 labeled images; training and validation need one each at least"


def test_boxes_alone_are_skipped_with_a_count(coco, run):
    values, write = coco
    entry = {"id": 900, "image_id": 100, "category_id": 3, "bbox": [0, 0, 5, 5]}
    values["annotations"] += [entry, {**entry, "id": 901, "segmentation": []}]
    report = run("coco", write(values))
    assert report.notes["annotations skipped, as they have a box but no segmentation"] == 2


def test_images_without_annotation_are_left_out_or_kept(coco, run, photos, tmp_path):
    values, write = coco
    values["annotations"] = [entry for entry in values["annotations"] if entry["image_id"] != 103]
    k.save(photos / "more" / "extra.png", np.zeros((8, 9, 3), np.uint8))
    report = run("coco", write(values))
    assert len(report.samples) == 7
    note = "images without annotation left out, such as c3.png (--keep-unlabeled keeps them as background)"
    assert report.notes[note] == 2
    report = run("coco", write(values), keep_unlabeled=True, overwrite=True)
    assert len(report.samples) == 9
    labels = k.read_labels(tmp_path / "out")
    assert not labels["more__extra"].any()
    assert not labels["c3"].any()


def test_names_that_would_become_one_are_refused(coco, refused, photos):
    values, write = coco
    for name in ("scene__a.png", "c4.png"):
        k.save(photos / name, np.zeros((48, 64, 3), np.uint8))
        values["images"].append({"id": name, "file_name": name, "height": 48, "width": 64})
        values["annotations"].append({"image_id": name, "category_id": 3, "segmentation": [[0, 0, 9, 9, 0, 9]]})
    message = refused("coco", write(values))
    assert "scene/a.png and scene__a.png would both be named scene__a; rename one of them" in message
    assert "c4.jpg and c4.png would both be named c4; rename one of them" in message


def test_labels_that_the_classes_file_does_not_name(coco, refused, run, tmp_path):
    values, write = coco
    path = tmp_path / "mine.yaml"
    path.write_text("classes: [background, leaves, apple]\n")
    message = refused("coco", write(values), classes=path)
    assert message.startswith("2 problems")
    assert (
        f"label 'leaf' (8x, first in {tmp_path / 'labels.json'}: image 100) is not in {path}; did you mean 'leaves'?"
        in message
    )
    assert "label 'ladder' (3x" in message
    path.write_text("classes: [apple, leaf]\nignore: [ladder, 255]\n")
    run("coco", write(values), classes=path)
    labels = k.read_labels(tmp_path / "out")
    for item in k.make_set(tmp_path / "again"):  # no class background: pixels outside all regions are ignored
        np.testing.assert_array_equal(labels[item.flat], np.array([255, 1, 0, 255])[item.label])


def test_the_classes_file_is_checked(coco, refused, tmp_path):
    path = tmp_path / "mine.yaml"
    labels = coco[1](coco[0])
    assert f"{path} not found" in refused("coco", labels, classes=path)
    path.write_text("classes: [a, a]\nignore: [void]\n")
    assert refused("coco", labels, classes=path) == f"{path}: classes: 'a' is given twice"
    path.write_text("classes: [a, b]\nignore: [[1, 2]]\n")
    assert "ignore: expected raw values, label names or [red, green, blue], found (1, 2)" in refused(
        "coco", labels, classes=path
    )


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5])
def test_both_splits_are_needed(share, coco, refused):
    message = refused("coco", coco[1](coco[0]), val_share=share)
    assert message.startswith(f"--val-share {share:g}: expected a share between 0 and 1: training needs images")


def test_missing_folders(known, refused, tmp_path, photos):
    assert "unpack the archive" in refused("coco", tmp_path / "labels.zip")
    assert f"--labels {tmp_path / 'lost'}: no such file or folder" in refused("coco", tmp_path / "lost")
    labels = k.write_coco(tmp_path / "labels", known)
    assert "no such folder" in refused("coco", labels, images=tmp_path / "lost")
    assert "no image found (looked for .jpg" in refused("coco", labels, images=tmp_path / "labels")
    (labels.parent / "second.json").write_text("{}")
    assert "2 .json files (instances.json, second.json, ...); name one of them" in refused("coco", labels.parent)
    labels.unlink()
    assert len(refused("coco", labels.parent).splitlines()) == 1


def test_images_that_are_ignored_everywhere_are_left_out(coco, run):
    values, write = coco
    crowd = k.coco_rle(np.ones((48, 64), bool), compressed=True)
    values["annotations"] = [entry for entry in values["annotations"] if entry["image_id"] != 101]
    values["annotations"].append({"id": 999, "image_id": 101, "category_id": 3, "iscrowd": 1, "segmentation": crowd})
    report = run("coco", write(values))
    assert len(report.samples) == 7
    assert report.notes["images left out, as every pixel in them is ignored"] == 1
