"""The known set in every format comes out equal to the pixel, as a set that the project reads."""

import numpy as np
import pytest
import yaml
from PIL import Image

from src.data.catalog import load_dataset_info
from src.data.folders import list_samples
from src.data.label_check import check_sample
from tests.data.importers import known as k

CLASSES = {"classes": [{"name": n, "color": list(c)} for n, c in zip(k.NAMES, k.COLORS, strict=True)]}
WRITERS = {
    "coco": ("coco", k.write_coco),
    "labelme": ("labelme", k.write_labelme),
    "cvat": ("cvat", k.write_cvat),
    "cvat_masks": ("cvat", k.write_cvat_masks),
    "voc": ("voc", k.write_voc),
    "colors": ("colors", k.write_colors),
    "datumaro": ("datumaro", k.write_datumaro),
}


@pytest.fixture
def classes(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**CLASSES, "ignore": [list(k.VOID)]}))
    return path


@pytest.mark.parametrize("name", WRITERS)
def test_labels_come_out_equal_to_the_pixel(name, known, run, classes, tmp_path):
    form, write = WRITERS[name]
    report = run(form, write(tmp_path / "labels", known), classes=classes)
    labels = read = k.read_labels(tmp_path / "out")
    assert sorted(read) == sorted(item.flat for item in known)
    for item in known:
        expected = k.with_corner(item.label, 255) if name in ("voc", "colors") else item.label
        np.testing.assert_array_equal(labels[item.flat], expected, err_msg=item.name)
        assert labels[item.flat].dtype == np.uint8
    assert report.table.names == k.NAMES
    # The project's own reader finds the same in the folder.
    info = load_dataset_info("folder", tmp_path / "out")
    assert info.classes == k.NAMES
    counts = []
    for split in ("train", "val"):
        samples = list_samples(info, tmp_path / "out", split)
        counts.append(len(samples))
        for sample in samples:
            checked = check_sample(sample.image, sample.label, info)
            np.testing.assert_array_equal(checked.label, labels[sample.name])
    assert sum(counts) == len(known)
    assert min(counts) > 0


@pytest.mark.parametrize("name", ["coco", "cvat", "cvat_masks", "datumaro", "labelme"])
def test_classes_come_from_the_labels_where_no_file_names_them(name, known, run, tmp_path):
    form, write = WRITERS[name]
    report = run(form, write(tmp_path / "labels", known))
    order = ("background", "apple", "ladder", "leaf") if name == "labelme" else k.NAMES
    assert report.table.names == order
    info = load_dataset_info("folder", tmp_path / "out")
    assert info.classes == order
    assert info.colors[0] == (60, 60, 60)  # black stands for ignored pixels
    if name in ("cvat", "cvat_masks", "datumaro"):
        assert info.colors[1:] == k.COLORS[1:]
    labels = k.read_labels(tmp_path / "out")
    for item in known:
        np.testing.assert_array_equal(np.array(order)[labels[item.flat]], np.array(k.NAMES)[item.label])


def test_images_are_copied_byte_by_byte_and_subfolders_become_part_of_the_name(known, run, photos, tmp_path):
    run("coco", k.write_coco(tmp_path / "labels", known))
    copies = {path.name: path for path in (tmp_path / "out" / "images").glob("*/*")}
    assert "scene__a.png" in copies
    for item in known:
        assert copies[item.name.replace("/", "__")].read_bytes() == (photos / item.name).read_bytes()


def test_the_same_call_writes_the_same_bytes(known, run, tmp_path):
    labels = k.write_coco(tmp_path / "labels", known)
    run("coco", labels, output=tmp_path / "one", seed=5)
    run("coco", labels, output=tmp_path / "two", seed=5)

    def files(root):
        return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != "config.yaml"}

    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_coco_draws_large_first_and_ties_by_id(known, run, tmp_path):
    values = k.coco_values(known)
    square = [[10, 10, 20, 10, 20, 20, 10, 20]]
    rle = k.coco_rle(k.Shape("box", "", (10, 10, 20, 20)).pixels(known[0].size), compressed=False)
    values["annotations"] = [
        {"id": 9, "image_id": 100, "category_id": 90, "segmentation": square},
        {"id": 2, "image_id": 100, "category_id": 17, "segmentation": rle},
        {"id": 1, "image_id": 100, "category_id": 3, "segmentation": [[0, 0, 40, 0, 40, 40, 0, 40]]},
        {
            "id": 3,
            "image_id": 101,
            "category_id": 3,
            "segmentation": [[0, 0, 4, 0, 4, 4, 0, 4], [8, 0, 9, 0, 9, 1, 8, 1]],
        },
    ]
    run("coco", k.write_json(tmp_path / "labels.json", values))
    labels = k.read_labels(tmp_path / "out")
    expected = np.zeros(known[0].size, np.uint8)
    expected[:40, :40] = 1
    expected[10:20, 10:20] = 3  # of equal area, the higher id is on top
    np.testing.assert_array_equal(labels["scene__a"], expected)
    expected = np.zeros(known[1].size, np.uint8)
    expected[:4, :4] = expected[0, 8] = 1  # all polygons of an annotation
    np.testing.assert_array_equal(labels["b"], expected)


@pytest.mark.parametrize("keep", [False, True])
def test_coco_crowds_are_ignored_below_all_objects_unless_kept(keep, known, run, tmp_path):
    values = k.coco_values(known)
    crowd = k.coco_rle(np.ones(known[0].size, bool), compressed=True)
    values["annotations"].append(
        {"id": 999, "image_id": 100, "category_id": 90, "iscrowd": 1, "segmentation": crowd, "area": 1}
    )
    report = run("coco", k.write_json(tmp_path / "labels.json", values), keep_crowd=keep)
    expected = known[0].label
    expected[expected == 0] = 3 if keep else 255
    np.testing.assert_array_equal(k.read_labels(tmp_path / "out")["scene__a"], expected)
    assert any("crowd" in note and count == 1 for note, count in report.notes.items()) is not keep


def test_coco_paths_may_start_with_the_name_of_the_image_folder(known, run, tmp_path):
    values = k.coco_values(known)
    for entry in values["images"]:
        entry["file_name"] = f"photos/{entry['file_name']}"
    assert len(run("coco", k.write_json(tmp_path / "labels.json", values)).samples) == len(known)


def test_labelme_shapes(known, run, photos, tmp_path):
    """Later shapes are on top; circles have an area, lines and points are counted; labelme's own names hold."""
    known = known[:3]
    folder = k.write_labelme(tmp_path / "labels", known)
    values = k.labelme_values(known[0])
    values["shapes"] = [
        {"label": "leaf", "shape_type": "circle", "points": [[20, 20], [20, 30]]},
        {"label": "__ignore__", "shape_type": "rectangle", "points": [[0, 0], [10, 10]]},
        {"label": "_background_", "points": [[15, 15], [25, 15], [25, 25], [15, 25]]},  # old files have no type
        {"label": "leaf", "shape_type": "line", "points": [[0, 0], [9, 9]]},
        {"label": "leaf", "shape_type": "point", "points": [[0, 0]]},
        {"label": "apple", "shape_type": "oriented_rectangle", "points": [[40, 0], [44, 0], [44, 4], [40, 4]]},
    ]
    values["imagePath"] = "..\\photos\\scene\\a.png"
    values["imageHeight"] = None
    k.write_json(folder / "scene__a.json", values)
    report = run("labelme", folder)
    y, x = np.mgrid[: known[0].size[0], : known[0].size[1]] + 0.5
    expected = np.where((x - 20) ** 2 + (y - 20) ** 2 <= 100, report.table.names.index("leaf"), 0).astype(np.uint8)
    expected[:10, :10] = 255
    expected[15:25, 15:25] = 0
    expected[:4, 40:44] = report.table.names.index("apple")
    np.testing.assert_array_equal(k.read_labels(tmp_path / "out")["scene__a"], expected)
    assert report.notes["line shapes skipped, as they have no area"] == 1
    assert report.notes["point shapes skipped, as they have no area"] == 1


def test_labelme_files_beside_their_images(known, run, photos, tmp_path):
    """The usual case: one folder for both, and images named relative to their file."""
    for item in known:
        values = k.labelme_values(item)
        values["imagePath"] = item.name.split("/")[-1]
        k.write_json(photos / f"{item.stem}.json", values)
    (photos / "__MACOSX").mkdir()
    (photos / "__MACOSX" / "._b.json").write_bytes(b"\x00\x05\x16")  # what archives of macOS add
    run("labelme", photos)
    labels = k.read_labels(tmp_path / "out")
    assert sorted(labels) == sorted(item.flat for item in known)


def test_cvat_shapes(known, run, tmp_path):
    """Ellipses and turned boxes are drawn, shapes without area counted; a mask may reach outside the image."""
    root = k.cvat_root(known[:3])
    image = root.find("image")
    for shape in list(image):
        image.remove(shape)
    add = k.ElementTree.SubElement
    add(image, "ellipse", label="leaf", cx="30", cy="20", rx="20", ry="10", z_order="0")
    turned = {"xtl": "20", "ytl": "18", "xbr": "40", "ybr": "22", "rotation": "90"}
    add(image, "box", label="apple", z_order="2", **turned)
    add(image, "mask", label="ladder", rle="1, 3", left="-1", top="-1", width="2", height="2", z_order="1")
    add(image, "polyline", label="leaf", points="0,0;5,5", z_order="3")
    add(image, "points", label="leaf", points="0,0", z_order="3")
    add(image, "tag", label="leaf")
    path = tmp_path / "annotations.xml"
    k.ElementTree.ElementTree(root).write(path)
    report = run("cvat", path)
    y, x = np.mgrid[: known[0].size[0], : known[0].size[1]] + 0.5
    expected = (((x - 30) / 20) ** 2 + ((y - 20) / 10) ** 2 <= 1).astype(np.uint8)
    expected[10:30, 28:32] = 2
    expected[0, 0] = 3
    np.testing.assert_array_equal(k.read_labels(tmp_path / "out")["scene__a"], expected)
    skipped = {note: count for note, count in report.notes.items() if "no area" in note}
    assert sorted(note.split()[0] for note in skipped) == ["points", "polyline", "tag"]


def test_masks_that_image_sets_does_not_list_are_left_out(known, run, tmp_path):
    folder = k.write_cvat_masks(tmp_path / "labels", known)
    listed = folder / "ImageSets" / "Segmentation" / "default.txt"
    listed.write_text("".join(listed.read_text().splitlines(keepends=True)[1:]))
    report = run("cvat", folder)
    assert len(report.samples) == len(known) - 1
    assert report.notes["masks left out, as ImageSets/Segmentation does not list them"] == 1


def test_cvat_label_map_without_colors_means_those_of_voc(known, run, tmp_path):
    folder = k.write_cvat_masks(tmp_path / "labels", known)
    (folder / "labelmap.txt").write_text("".join(f"{name}:::\n" for name in k.NAMES))
    for item in known:
        k.save(folder / "SegmentationClass" / f"{item.stem}.png", np.array(k.palette(), np.uint8)[item.label])
    run("cvat", folder)
    labels = k.read_labels(tmp_path / "out")
    assert all((labels[item.flat] == item.label).all() for item in known)


def test_voc_has_its_own_classes_and_reads_masks_in_color(known, run, tmp_path):
    folder = k.write_voc(tmp_path / "labels", known)
    path = folder / "SegmentationClass" / f"{known[1].stem}.png"
    Image.open(path).convert("RGB").save(path)
    report = run("voc", folder)
    assert report.table.names[:3] == ("background", "aeroplane", "bicycle")
    assert len(report.table.names) == 21
    np.testing.assert_array_equal(k.read_labels(tmp_path / "out")["b"], k.with_corner(known[1].label, 255))


def test_voc_palette():
    """Colors that the development kit's documentation shows."""
    colors = k.palette()
    assert colors[:5] == [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)]
    assert colors[15] == (192, 128, 128)
    assert colors[255] == (224, 224, 192)


def test_raw_values_of_the_classes_file_are_palette_indices(known, run, tmp_path):
    folder = k.write_voc(tmp_path / "labels", known)
    path = tmp_path / "classes.yaml"
    path.write_text("classes: [{name: plant, raw: [1, 2]}, {name: rest, raw: 0}]\nignore: [3]\n")
    run("voc", folder, classes=path)
    table = np.array([1, 0, 0, 255] + [255] * 252, np.uint8)
    labels = k.read_labels(tmp_path / "out")
    for item in known:
        np.testing.assert_array_equal(labels[item.flat], table[k.with_corner(item.label, 255)])
