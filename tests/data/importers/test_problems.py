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
    assert f"; there is {photos / 'scene' / 'a.png'}: give --images the folder" in refused("coco", write(values))


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


def test_broken_labelme_files_are_all_named(known, refused, tmp_path):
    folder = k.write_labelme(tmp_path / "labels", known)
    (folder / "b.json").write_text('{"shapes": [')
    k.write_json(folder / "c2.json", {"answer": 42})
    values = k.labelme_values(known[3])
    values["shapes"][0]["shape_type"] = "spiral"
    k.write_json(folder / "c3.json", values)
    values = k.labelme_values(known[6])
    values["shapes"][-1]["mask"] = "?"
    values["imageWidth"] = 65
    k.write_json(folder / "c6.json", values)
    values = k.labelme_values(known[7])
    values["imagePath"] = "../../elsewhere/c7.png"
    k.write_json(folder / "c7.json", values)
    message = refused("labelme", folder)
    assert message.startswith("5 problems")
    assert f"{folder / 'b.json'}: not a JSON file" in message
    assert f"{folder / 'c2.json'}: 'shapes' is missing" in message
    assert f"{folder / 'c3.json'}: shape 0 (leaf): shape type 'spiral' is unknown" in message
    assert "c6.jpg: the image is 48x64 (height x width), its label was made for 48x65" in message
    assert f"{folder / 'c7.json'}: imagePath: file name '../../elsewhere/c7.png' is refused" in message


def test_damaged_labelme_mask(known, refused, tmp_path):
    folder = k.write_labelme(tmp_path / "labels", known)
    values = k.labelme_values(known[6])
    values["shapes"][-1]["mask"] = "?"
    k.write_json(folder / "c6.json", values)
    assert "c6.json: shape 2 (ladder): mask: expected a PNG in base64" in refused("labelme", folder)
    values = k.labelme_values(known[6])
    values["shapes"][-1]["points"][1][0] += 3
    k.write_json(folder / "c6.json", values)
    assert "c6.json: mask of 12x14 pixels, expected 12x17 (height x width)" in refused("labelme", folder)


def test_labelme_folder_without_files(known, refused, tmp_path):
    (tmp_path / "labels").mkdir()
    assert "no .json file in it" in refused("labelme", tmp_path / "labels")


BOMB = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotations>&b;</annotations>"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations>", "annotations.xml: not an XML file (no element found"),
        (BOMB, "annotations.xml: declares a document type or entities"),
        ("<annotation/>", "expected <annotations> with <image>s, found <annotation> without"),
        ("<annotations><track/></annotations>", '"CVAT for video", with tracks; export as "CVAT for images 1.1"'),
    ],
)
def test_broken_cvat_files(text, message, known, refused, tmp_path):
    path = tmp_path / "annotations.xml"
    path.write_text(text)
    assert message in refused("cvat", path)


def test_all_problems_of_a_cvat_file_are_listed_together(known, refused, tmp_path):
    root = k.cvat_root(known)
    images = root.findall("image")
    add = k.ElementTree.SubElement
    add(images[0], "polygon", label="leaf", points="0,0;3,3")
    add(images[1], "box", label="leaf", xtl="0", ytl="zero", xbr="3", ybr="3")
    add(images[2], "mask", label="leaf", rle="1, 2", left="0", top="0", width="2", height="2")
    add(images[3], "spiral", label="leaf")
    add(images[6], "mask", label="leaf", rle="0, 1000000000000", left="0", top="0", width="1000000", height="1000000")
    add(images[4], "box", xtl="0", ytl="0", xbr="3", ybr="3")
    del images[5].attrib["width"]
    path = tmp_path / "annotations.xml"
    k.ElementTree.ElementTree(root).write(path)
    message = refused("cvat", path)
    assert message.startswith("7 problems")
    for part in (
        "image c6.jpg: a mask of 1000000x1000000 pixels is larger than the image",
        "image scene/a.png: polygon (leaf): a polygon of 2 points",
        'image b.jpg: box (leaf): ytl: expected coordinates, found "zero"',
        "image c2.jpg: mask (leaf): rle: the runs cover 3 pixels, the mask has 2x2",
        "image c3.png: spiral (leaf): shape <spiral> is unknown",
        "image c4.jpg: box: attribute label is missing",
        "image c5.png: attribute width is missing",
    ):
        assert part in message, part


def test_label_map_of_cvat_is_checked(known, refused, tmp_path):
    folder = k.write_cvat_masks(tmp_path / "labels", known)
    (folder / "labelmap.txt").write_text("background:0,0,0::\nleaf:1,2::\n")
    assert "labelmap.txt: line 2: expected a new name:red,green,blue::, found 'leaf:1,2::'" in refused("cvat", folder)
    (folder / "labelmap.txt").write_text("background:0,0,0::\nleaf:0,0,0::\n")
    assert "color (0, 0, 0) is that of background and of leaf" in refused("cvat", folder)


@pytest.fixture
def colors(known, tmp_path):
    """Folder of masks in color, and their classes file."""
    path = tmp_path / "mine.yaml"
    rows = (f"  - {{name: {n}, color: {list(c)}}}\n" for n, c in zip(k.NAMES, k.COLORS, strict=True))
    path.write_text("classes:\n" + "".join(rows) + f"ignore: [{list(k.VOID)}]\n")
    return k.write_colors(tmp_path / "masks", known), path


def test_an_unknown_color_is_named_and_never_taken_for_a_near_one(colors, known, refused):
    folder, classes = colors
    path = folder / f"{known[1].stem}.png"
    rgb = np.array(k.COLORS, np.uint8)[known[1].label]
    rgb[40:42, :3] = (61, 160, 70)  # one step from leaf
    rgb[47, 0] = (1, 2, 3)
    k.save(path, rgb)
    message = refused("colors", folder, classes=classes)
    assert f"{path}: color (61, 160, 70) is not in {classes} (nearest: (60, 160, 70) = leaf) (6 pixels)" in message
    assert "; color (1, 2, 3) is not in" in message
    assert "(1 pixels)" in message


def test_colors_need_a_color_for_each_class(colors, refused, tmp_path):
    folder, classes = colors
    assert refused("colors", folder).startswith("--format colors needs --classes FILE")
    classes.write_text("classes: [{name: leaf, color: [1, 2, 3]}, apple]\n")
    assert f"{classes}: apple: no color; expected entries such as" in refused("colors", folder, classes=classes)
    classes.write_text("classes: [{name: leaf, color: [1, 2, 3]}, {name: apple, color: [1, 2, 3]}]\n")
    assert "color (1, 2, 3) is that of leaf and of apple" in refused("colors", folder, classes=classes)


def test_masks_that_do_not_fit(colors, known, refused, photos):
    folder, classes = colors
    k.save(folder / "lonely.png", np.zeros((4, 4, 3), np.uint8))
    k.save(folder / "c4.png", np.zeros((48, 63, 3), np.uint8))
    half = np.full((48, 64, 4), 0, np.uint8)
    k.save(folder / "c5.png", half)
    (folder / "c6.png").write_text("not a mask")
    message = refused("colors", folder, classes=classes)
    assert message.startswith("4 problems")
    assert f"{folder / 'lonely.png'}: no image {photos / 'lonely'}.*" in message
    assert "c4.jpg: the image is 48x64 (height x width), its label was made for 48x63" in message
    assert f"{folder / 'c5.png'}: 3072 pixels are transparent" in message
    assert f"{folder / 'c6.png'}: unreadable mask" in message
    assert "the folder of the images" in refused("colors", photos, classes=classes)


def test_two_images_for_one_mask(colors, known, refused, photos):
    folder, classes = colors
    k.save(photos / "c4.png", np.zeros((48, 64, 3), np.uint8))
    assert f"c4.jpg and c4.png in {photos} have one name" in refused("colors", folder, classes=classes)


def test_voc_values_without_a_class(known, refused, tmp_path):
    folder = k.write_voc(tmp_path / "labels", known)
    path = folder / "SegmentationClass" / f"{known[1].stem}.png"
    k.save(path, np.full((48, 64), 40, np.uint8))
    assert f"{path}: value 40 is not in VOC's 20 classes; name yours with --classes (3072 pixels)" in refused(
        "voc", folder
    )
    k.save(path, np.full((48, 64, 3), 77, np.uint8))
    assert f"{path}: in color, and (77, 77, 77) is not in VOC's palette" in refused("voc", folder)
    assert "which should hold the masks as PNG" in refused("voc", path)


def test_all_problems_of_a_datumaro_file_are_listed_together(known, refused, tmp_path):
    folder = k.write_datumaro(tmp_path / "labels", known)
    path = folder / "annotations" / "default.json"
    values = k.json.loads(path.read_text())
    items = values["items"]
    items[1]["annotations"][0]["label_id"] = 3
    items[2]["annotations"][0]["points"] = [0, 0, 4, 4]
    items[3]["annotations"][0]["rle"]["counts"] = "zzzz"
    items[4]["annotations"][0]["type"] = "spiral"
    del items[5]["image"]
    items[6]["image"]["path"] = "lost.jpg"
    k.write_json(path, values)
    message = refused("datumaro", folder)
    assert message.startswith("6 problems")
    for part in (
        "item b: annotation 0: label_id 3 is not among the 3 labels",
        "item c2: annotation 0 (apple): a polygon of 2 points",
        "item c3: annotation 0 (ladder): rle: the run-length mask ends too early",
        "item c4: annotation 0 (apple): type 'spiral' is unknown",
        "item c5: 'image' is missing",
        "item c6: no image",
    ):
        assert part in message, part


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
