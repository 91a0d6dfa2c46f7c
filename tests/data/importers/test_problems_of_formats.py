"""What is wrong with labels of formats other than COCO is named, all of it together, and nothing is written."""

import numpy as np
import pytest

from tests.data.importers import known as k


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
    assert "c6.json: shape 2 (ladder): mask of 12x14 pixels, expected 12x17 (height x width)" in refused(
        "labelme", folder
    )


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
        "image c6.jpg: mask (leaf): a mask of 1000000x1000000 pixels is larger than the image",
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


def test_masks_of_cvat_are_not_taken_for_those_of_voc(known, refused, tmp_path):
    folder = k.write_cvat_masks(tmp_path / "labels", known)
    assert refused("voc", folder).startswith(
        f"{folder / 'labelmap.txt'} names the classes of these masks; use --format"
    )


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
