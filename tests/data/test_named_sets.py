"""The data sets known by name: tables, raw label values, and files where the sets' own releases put them."""

import csv
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest

from src.data.catalog import NAMED, load_dataset_info
from src.data.folders import list_samples, list_splits
from src.data.info import IGNORE
from src.data.mindrecord import write_records
from src.data.pipeline import EvalPipeline, TrainPipeline
from src.data.preparation import ensure_records
from src.data.transforms import build_transforms
from src.errors import UserError
from src.inference.evaluator import evaluate
from src.schema.data import DataConfig
from src.schema.training import EvalConfig
from tests.data.named_sets import COUNTS, FILES, VALUES, base_config, write_files, write_label
from tests.data.raw_data import picture

TABLES = Path(__file__).parents[3] / "shared" / "datasets"


@pytest.mark.parametrize("name", COUNTS)
def test_classes_and_colors(name):
    info = load_dataset_info(name)
    assert len(info.classes) == len(set(info.classes)) == len(info.colors) == COUNTS[name]
    assert all(label == label.strip() and label for label in info.classes)
    assert set(info.label_map.values()) == {*range(COUNTS[name]), IGNORE}
    # two pairs of classes share a gray in the sets' customary palettes
    assert len(set(info.colors)) == COUNTS[name] - (name in ("ade20k", "pascal_context"))


@pytest.mark.skipif(not TABLES.is_dir(), reason="the tables of classes are not here")
@pytest.mark.parametrize(
    ("name", "file", "column"),
    [
        ("ade20k", "ade20k", "raw_id"),
        ("camvid", "camvid", "raw_id"),
        ("cityscapes", "cityscapes", "raw_id"),
        ("coco_stuff", "coco_stuff", "raw_id_164k_png"),
        ("pascal_context", "pascal_context_59", "raw_id_459"),
    ],
)
def test_tables_agree_with_the_reference(name, file, column):
    rows = list(csv.DictReader((TABLES / f"{file}.csv").open()))
    info = load_dataset_info(name)
    assert list(info.classes) == [row["name"].strip() for row in rows]
    assert list(info.colors) == [(int(row["r"]), int(row["g"]), int(row["b"])) for row in rows]
    classes = {raw: train_id for raw, train_id in info.label_map.items() if train_id != IGNORE}
    assert classes == {int(row[column]): int(row["train_id"]) for row in rows}


def test_schema_and_catalog_know_the_same_sets():
    assert {*NAMED, "folder"} == set(get_args(DataConfig.model_fields["name"].annotation))


@pytest.mark.parametrize("name", COUNTS)
def test_files_are_found_and_labels_mapped(name, tmp_path):
    raw, expected = VALUES[name]
    write_files(tmp_path, name, raw)
    info = load_dataset_info(name)
    assert list_splits(info, tmp_path) == sorted({*info.splits, *({"train"} if name == "voc2012" else ())})
    data = base_config(name, tmp_path, root=tmp_path, records=tmp_path / "records")
    assert (data.train_split, data.val_split) == info.splits
    metadata = ensure_records(data)
    assert {split: facts.count for split, facts in metadata.splits.items()} == {
        info.splits[0]: {"cityscapes": 2, "voc2012": 3}.get(name, 1),
        info.splits[1]: 1,
    }
    ((image, label, sample),) = EvalPipeline(data.records, data.val_split, data)
    np.testing.assert_array_equal(label, np.resize(expected, (24, 32)))
    # short and long side of the 24x32 image fit into those of base_size
    size = {"pascal_context": (390, 520), "cityscapes": (24, 32)}.get(name, (512, 683))
    assert image.shape == (1, 3, *size)
    assert sample == Path(FILES[name].split()[-1]).stem.partition("_gtFine")[0]
    assert ensure_records(data) == metadata  # and without the raw data
    assert ensure_records(data.model_copy(update={"root": None})) == metadata


def test_pascal_context_with_the_ids_of_the_459_class_release(tmp_path):
    for label in write_files(tmp_path, "pascal_context", [0, 1]):
        write_label(tmp_path / "SegmentationClassContext459" / label.name, VALUES["pascal_context459"][0])
        label.unlink()
    (tmp_path / "SegmentationClassContext").rmdir()
    data = base_config("pascal_context", tmp_path, root=tmp_path, records=tmp_path / "records")
    ensure_records(data)
    ((_, label, _),) = EvalPipeline(data.records, "val", data)
    np.testing.assert_array_equal(label, np.resize(VALUES["pascal_context459"][1], (24, 32)))
    assert ensure_records(data.model_copy(update={"root": None})).split("val").count == 1


def test_pascal_context_from_the_release(tmp_path):
    for label in write_files(tmp_path, "pascal_context", [0, 1]):
        write_label(tmp_path / "trainval" / f"{label.stem}.mat", VALUES["pascal_context459"][0])
        label.unlink()
    (tmp_path / "SegmentationClassContext").rmdir()
    data = base_config("pascal_context", tmp_path, root=tmp_path, records=tmp_path / "records")
    ensure_records(data)
    ((_, label, _),) = EvalPipeline(data.records, "val", data)
    np.testing.assert_array_equal(label, np.resize(VALUES["pascal_context459"][1], (24, 32)))


def test_voc_with_sbd_takes_vocs_own_labels_and_leaves_out_its_validation(tmp_path):
    write_files(tmp_path, "voc2012", [1])
    info = load_dataset_info("voc2012")
    found = {sample.name: sample.label.relative_to(tmp_path).parts[0] for sample in
             list_samples(info, tmp_path, "train_aug")}  # fmt: skip
    assert found == {"2007_000032": "VOC2012", "2008_000002": "VOCaug", "2008_000003": "VOCaug"}
    assert [sample.name for sample in list_samples(info, tmp_path, "train")] == ["2007_000032"]
    (tmp_path / "VOCaug/dataset/val.txt").unlink()
    with pytest.raises(UserError, match="no split 'train_aug': expected .*VOCaug/dataset/cls.*VOCaug/dataset/val.txt"):
        list_samples(info, tmp_path, "train_aug")


def test_the_palette_of_voc():
    """The colors by which VOC's own PNG files show the classes: bits of the index, spread over the colors."""
    info = load_dataset_info("voc2012")
    for index, color in enumerate(info.colors):
        bits = [index >> bit & 1 for bit in range(6)]
        assert color == tuple(128 * bits[part] + 64 * bits[part + 3] for part in range(3)), index


def test_train_ids_of_cityscapes_when_told_so(tmp_path):
    values, expected = [0, 6, 7, 18, 255], [0, 6, 7, 18, IGNORE]
    for label in write_files(tmp_path, "cityscapes", [7]):
        write_label(label.with_name(label.name.replace("labelIds", "labelTrainIds")), values)
    data = base_config("cityscapes", tmp_path, root=tmp_path, records=tmp_path / "records", label_form="train_ids")
    metadata = ensure_records(data)
    ((_, label, _),) = EvalPipeline(data.records, "val", data)
    np.testing.assert_array_equal(label, np.resize(expected, (24, 32)))
    assert ensure_records(data.model_copy(update={"root": None})) == metadata
    with pytest.raises(UserError, match="another label map"):
        ensure_records(data.model_copy(update={"label_form": "ids"}))
    with pytest.raises(UserError, match="label_form: train_ids is for cityscapes only, not for ade20k"):
        load_dataset_info("ade20k", label_form="train_ids")


@pytest.mark.parametrize("form", ["ids", "train_ids"])
@pytest.mark.parametrize("placeholder", [False, True])
def test_a_split_without_labels(form, placeholder, tmp_path):
    """All its labels are ignored, whatever the release puts there, and it cannot be trained on."""
    for label in write_files(tmp_path, "cityscapes", [7]):
        write_label(label.with_name(label.name.replace("labelIds", "labelTrainIds")), [7])
    image = tmp_path / "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png"
    image.parent.mkdir(parents=True)
    cv2.imwrite(str(image), picture(3))
    if placeholder:
        write_label(tmp_path / "gtFine/test/berlin/berlin_000000_000019_gtFine_labelIds.png", [0, 1, 2, 3])
    info = load_dataset_info("cityscapes", label_form=form)
    metadata = write_records(info, tmp_path, tmp_path / "records", ["train", "val", "test"], allow_empty="all")
    assert {split: facts.labels for split, facts in metadata.splits.items()} == {
        "train": True,
        "val": True,
        "test": False,
    }
    assert metadata.split("test").ignored_share == 1
    records = tmp_path / "records"
    data = base_config("cityscapes", tmp_path, records=records, val_split="test", label_form=form)
    assert ensure_records(data) == metadata
    ((pixels, label, sample),) = EvalPipeline(data.records, "test", data)
    assert pixels.shape == (1, 3, 24, 32) and label.shape == (24, 32) and (label == IGNORE).all()
    assert sample == "berlin_000000_000019"
    with pytest.raises(UserError, match="train_split: .*test.* has no labels"):
        TrainPipeline(data.records, "test", data, 1, 0)


@pytest.mark.parametrize("name", [*COUNTS, "camvid"])
def test_base_layers_build_their_transforms(name, tmp_path):
    data = base_config(name, tmp_path)
    assert data.name == name
    image, label = picture(0, 90, 120), np.arange(90 * 120, dtype=np.uint8).reshape(90, 120)
    train = build_transforms(data.train_transforms, data, "train_transforms")
    pixels, cropped = train(image, label, np.random.default_rng(0))
    assert pixels.shape[1:] == cropped.shape == tuple(data.crop)
    pixels, _ = build_transforms(data.eval_transforms, data, "eval_transforms")(image, None, np.random.default_rng(0))
    own = dict.fromkeys(("camvid", "cityscapes"), (90, 120))
    assert pixels.shape[1:] == {**own, "pascal_context": (390, 520)}.get(name, (512, 683))


def test_logits_of_a_resized_image_are_scored_at_the_size_of_its_label(tmp_path):
    """Half of the image is dark and class 0, half bright and class 1; the network sees 48x64, the label is 24x32."""
    labels = write_files(tmp_path, "ade20k", [1])
    for label in labels:
        image = tmp_path / "images" / label.parent.name / f"{label.stem}.jpg"
        bright = np.repeat(np.arange(32)[None] >= 16, 24, axis=0)
        cv2.imwrite(str(image), np.repeat(np.uint8(255 * bright)[..., None], 3, axis=-1))
        cv2.imwrite(str(label), np.uint8(1 + bright))
    data = base_config("ade20k", tmp_path, root=tmp_path, records=tmp_path / "records", base_size=[48, 192])
    metadata = ensure_records(data)
    seen = []

    def runner(image):
        seen.append(image.shape)
        logits = np.full((1, 150, *image.shape[2:]), -100, np.float32)
        logits[:, 0], logits[:, 1] = -image[:, 0], image[:, 0]
        return logits

    result = evaluate(runner, EvalPipeline(data.records, "validation", data), metadata.classes, EvalConfig(), "none")
    assert seen == [(1, 3, 48, 64)]
    assert result.scores.accuracy == 100
