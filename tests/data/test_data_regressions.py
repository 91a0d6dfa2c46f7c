"""Mistakes that were made once: odd raw files, mixed sizes, shards, transforms of evaluation, late damage."""

import cv2
import numpy as np
import pytest
from PIL import Image

from src.data.catalog import load_dataset_info
from src.data.info import IGNORE
from src.data.mindrecord import write_records
from src.data.pipeline import EvalPipeline, TrainPipeline
from src.data.records import check_records
from src.data.transforms import RandomCrop, build_transforms
from src.errors import UserError
from src.schema.data import DataConfig
from tests.data.raw_data import folder_config, picture, stripes, write_raw

BATCH = 4


@pytest.fixture
def raw(tmp_path):
    """Raw folders with 3 training and 2 validation images, for tests that spoil them."""
    return write_raw(tmp_path / "raw", {"train": 3, "val": 2})


@pytest.fixture(scope="session")
def records(tmp_path_factory):
    """Records of 13 training and 5 validation images; not to be changed."""
    folder = tmp_path_factory.mktemp("records")
    root = write_raw(folder / "raw", {"train": 13, "val": 5})
    write_records(load_dataset_info("folder", root), root, folder / "records")
    return folder / "records"


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def config(names: list[dict], crop=(32, 32), key: str = "train_transforms") -> DataConfig:
    return DataConfig(name="shapes", records="unused", crop=list(crop), **{key: names})


def write(root, output, **options):
    return write_records(load_dataset_info("folder", root), root, output, **options)


def problem(action) -> str:
    with pytest.raises(UserError) as error:
        action()
    return str(error.value)


def rejected(raw, *pieces: str) -> str:
    """Assert that the raw data is refused with all ``pieces`` in the message, and that nothing is left behind."""
    before = sorted(raw.parent.iterdir())
    message = problem(lambda: write(raw, raw.parent / "records"))
    assert all(piece in message for piece in pieces), message
    assert sorted(raw.parent.iterdir()) == before
    return message


def labels_of(records, split="train") -> list[np.ndarray]:
    return [label for _, label, _ in EvalPipeline(records, split, folder_config(records))]


def train(records, seed=0, rank=0, world_size=1, batch_size=BATCH, **options) -> TrainPipeline:
    return TrainPipeline(records, "train", folder_config(records, **options), batch_size, seed, rank, world_size)


def take(pipeline: TrainPipeline, count: int, start: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    batches = pipeline.batches(start)
    return [tuple(part.asnumpy().copy() for part in next(batches)) for _ in range(count)]


@pytest.fixture
def spoilt(tmp_path):
    """Records of eight images in which every image's bytes are spoilt, but no header."""
    root = write_raw(tmp_path / "raw", {"train": 8})
    write_records(load_dataset_info("folder", root), root, tmp_path / "records", ["train"])
    path = tmp_path / "records" / "train.mindrecord"
    image = cv2.imencode(".png", picture(0))[1].tobytes()
    path.write_bytes(path.read_bytes().replace(image[:8], b"spoilt!!"))
    return tmp_path / "records"


def test_max_class_share_does_not_settle_for_void():
    """Most of this label is ignored; a crop without a single labeled pixel teaches nothing."""
    label = np.full((40, 200), IGNORE, np.uint8)
    label[:, :30], label[:, 30:60] = 0, 1
    crop = RandomCrop([40, 40], max_class_share=0.9)
    labels = [crop(np.zeros((40, 200, 3), np.uint8), label, generator(seed))[1] for seed in range(100)]
    assert sum((ids == IGNORE).all() for ids in labels) < 20


@pytest.mark.parametrize("name", ["random_crop", "random_flip", "pad"])
def test_evaluation_takes_no_transform_that_would_leave_its_label_behind(name):
    data = config([{"name": name}, {"name": "normalize"}], key="eval_transforms")
    with pytest.raises(UserError, match=f"data.eval_transforms: {name} is for training only"):
        build_transforms(data.eval_transforms, data, "eval_transforms")


def test_labels_of_one_bit(raw, tmp_path):
    Image.fromarray(stripes() == 1).save(raw / "annotations" / "train" / "img00.png")
    write(raw, tmp_path / "records")
    assert np.array_equal(labels_of(tmp_path / "records")[0], stripes() == 1)


def test_one_large_image_among_many_small_ones(tmp_path):
    """MindRecord's page has to hold the largest sample, wherever it comes."""
    root = write_raw(tmp_path / "raw", {"train": 40})
    cv2.imwrite(str(root / "images/train/img39.png"), picture(39, 1100, 1200))
    cv2.imwrite(str(root / "annotations/train/img39.png"), stripes(1100, 1200))
    assert write(root, tmp_path / "records", splits=["train"]).split("train").size is None
    assert labels_of(tmp_path / "records")[39].shape == (1100, 1200)


@pytest.mark.parametrize("kind", ["images", "annotations"])
def test_a_link_to_nothing_is_a_bad_sample_and_not_a_bad_output(raw, kind):
    path = raw / kind / "train" / "img02.png"
    path.unlink()
    path.symlink_to("/nowhere/img02.png")
    assert "cannot be written" not in rejected(raw, f"{kind}/train/img02.png", "unreadable", "No such file")


def test_overwriting_never_deletes_anything_but_records(raw, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "wedding.jpg").touch()
    message = problem(lambda: write(raw, photos, overwrite=True))
    assert "not a folder of records" in message and (photos / "wedding.jpg").exists()


def test_an_empty_output_folder_is_filled(raw, tmp_path):
    (tmp_path / "records").mkdir()
    write(raw, tmp_path / "records")
    check_records(tmp_path / "records")


def test_a_crop_larger_than_the_image_without_pad(records):
    bare = [{"name": "random_crop"}, {"name": "normalize"}]
    message = problem(lambda: take(train(records, crop=[64, 64], train_transforms=bare), 1))
    assert all(piece in message for piece in ("sample img", "24x32", "64x64", "add pad", "data.train_transforms"))


def test_samples_of_differing_sizes_cannot_be_batched(records):
    bare = [{"name": "random_scale", "ratio": [1.0, 2.0]}, {"name": "normalize"}]
    message = problem(lambda: take(train(records, train_transforms=bare), 1))
    assert all(piece in message for piece in ("data.train_transforms", "data.crop", "random_crop"))


def test_an_unexpected_failure_names_the_sample(records, monkeypatch):
    pipeline = train(records)
    monkeypatch.setattr(pipeline, "transforms", lambda *_: 1 / 0)
    message = problem(lambda: take(pipeline, 1))
    assert "sample img" in message and "ZeroDivisionError" in message


@pytest.mark.parametrize("damage", ["half", "empty", "noise", "missing", "no index"])
def test_records_that_are_damaged_during_training(spoilt, damage):
    """Start-up checks find all of this; later on it still ends in plain words."""
    path = spoilt / ("train.mindrecord.db" if damage == "no index" else "train.mindrecord")
    data = path.read_bytes()
    if damage in ("missing", "no index"):
        path.unlink()
    else:
        path.write_bytes({"half": data[: len(data) // 2], "empty": b"", "noise": data[::-1]}[damage])
    message = problem(lambda: take(train(spoilt), 2))
    assert str(spoilt) in message and "prepare the data again" in message
    assert str(spoilt) in problem(lambda: list(EvalPipeline(spoilt, "train", folder_config(spoilt))))


@pytest.mark.parametrize("shards", [1, 3, 12, 50])
def test_shards_do_not_change_the_order(tmp_path, shards):
    root = write_raw(tmp_path / "raw", {"train": 40})
    write_records(load_dataset_info("folder", root), root, tmp_path / "records", ["train"], shards)
    names = [name for *_, name in EvalPipeline(tmp_path / "records", "train", folder_config(tmp_path / "records"))]
    assert names == [f"img{i:02d}" for i in range(40)]
