"""What is said of files that do not fit a data set known by name."""

import numpy as np
import pytest
from scipy.io import savemat

from src.data.catalog import load_dataset_info
from src.data.folders import list_samples, list_splits
from src.data.mindrecord import write_records
from src.errors import UserError
from tests.data.named_sets import COUNTS, UNKNOWN, VALUES, write_files, write_label


@pytest.mark.parametrize(
    ("content", "piece"),
    [
        (None, "unreadable label"),
        ({"other": np.zeros((24, 32))}, "no label map in it; expected a variable S, LabelMap, GTcls"),
        ({"S": np.zeros((24, 32, 3))}, "expected a map of class values"),
        ({"S": np.full((24, 32), 0.5)}, "other values than whole numbers"),
        ({"S": np.full((24, 32), -1)}, "other values than whole numbers"),
        ({"GTcls": {"Boundaries": 1}}, "GTcls has no field Segmentation"),
        ({"GTcls": np.zeros((24, 32))}, "GTcls has no field Segmentation"),
        ({"S": np.zeros((24, 31))}, "label is 24x31, its image 24x32"),
    ],
)
def test_matlab_files_that_are_no_labels(content, piece, tmp_path):
    label = write_files(tmp_path, "coco_stuff10k", [1])[-1]
    if content is None:
        label.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(300))
    else:
        savemat(label, content)
    with pytest.raises(UserError) as caught:
        write_records(load_dataset_info("coco_stuff10k"), tmp_path, tmp_path / "records", ["test"])
    assert f"{label}: " in str(caught.value) and piece in str(caught.value)


@pytest.mark.parametrize("name", COUNTS)
def test_unknown_value_is_an_error(name, tmp_path):
    labels = write_files(tmp_path, name, VALUES[name][0])
    label = labels[3] if name == "voc2012" else labels[-1]
    write_label(label, [UNKNOWN[name]])
    info = load_dataset_info(name)
    with pytest.raises(UserError) as caught:
        write_records(info, tmp_path, tmp_path / "records", info.splits)
    assert f"{label}: label value {UNKNOWN[name]} (768 pixels) is outside the map of {name}" in str(caught.value)


@pytest.mark.parametrize("name", COUNTS)
def test_missing_label_and_split_are_named(name, tmp_path):
    labels = write_files(tmp_path, name, [1])
    info = load_dataset_info(name)
    label = next(label for label in labels if label.stem == "2007_000033") if name == "voc2012" else labels[-1]
    label.unlink()
    with pytest.raises(UserError) as caught:
        list_samples(info, tmp_path, info.splits[1])
    assert f"no label {label}" in str(caught.value)
    with pytest.raises(UserError, match=f"no split 'dev'.*splits there are {', '.join(list_splits(info, tmp_path))}$"):
        list_samples(info, tmp_path, "dev")


def test_other_files_beside_the_labels_are_not_taken_for_labels(tmp_path):
    label = write_files(tmp_path / "city", "cityscapes", [7])[-1]
    for kind in ("labelTrainIds", "instanceIds", "color"):
        write_label(label.with_name(label.name.replace("labelIds", kind)), [0])
    (sample,) = list_samples(load_dataset_info("cityscapes"), tmp_path / "city", "val")
    assert sample.label == label
    label = write_files(tmp_path / "coco", "coco_stuff", [7])[-1]
    prepared = label.with_name(f"{label.stem}_labelTrainIds.png")
    write_label(prepared, [0])
    (sample,) = list_samples(load_dataset_info("coco_stuff"), tmp_path / "coco", "val2017")
    assert sample.label == label
    label.unlink()
    with pytest.raises(UserError, match=f"no label {label}"):
        list_samples(load_dataset_info("coco_stuff"), tmp_path / "coco", "val2017")


def test_a_listed_image_that_is_not_there_is_named(tmp_path):
    write_files(tmp_path, "pascal_context", [1])
    (tmp_path / "JPEGImages/2008_000003.jpg").unlink()
    with pytest.raises(UserError, match=r"val.txt: no image .*2008_000003"):
        list_samples(load_dataset_info("pascal_context"), tmp_path, "val")
    (tmp_path / "ImageSets/SegmentationContext/val.txt").write_text("\n")
    with pytest.raises(UserError, match="split 'val' is empty"):
        list_samples(load_dataset_info("pascal_context"), tmp_path, "val")


def test_one_name_in_two_folders_is_an_error(tmp_path):
    write_files(tmp_path, "cityscapes", [7])
    image = tmp_path / "leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png"
    (tmp_path / "leftImg8bit/val/munster").mkdir()
    (tmp_path / "leftImg8bit/val/munster" / image.name).write_bytes(image.read_bytes())
    with pytest.raises(UserError, match="lindau/.* and munster/.* have one name"):
        list_samples(load_dataset_info("cityscapes"), tmp_path, "val")
