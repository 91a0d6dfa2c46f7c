"""Batches: order, shards, position, augmentation, and errors in the middle of an epoch."""

import itertools

import numpy as np
import pytest

from src.data.catalog import load_dataset_info
from src.data.mindrecord import write_records
from src.data.pipeline import EvalPipeline, TrainPipeline
from src.errors import UserError
from tests.data.conftest import write_pair

SEED = 5


def take(pipeline, count, start=0):
    """The first ``count`` batches from ``start`` on, as NumPy."""
    batches = itertools.islice(pipeline.batches(start), count)
    return [(image.asnumpy().copy(), label.asnumpy().copy()) for image, label in batches]


def assert_equal(first, second):
    assert len(first) == len(second)
    for (image, label), (other_image, other_label) in zip(first, second, strict=True):
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(label, other_label)


@pytest.fixture
def make(records, data_config):
    def make(batch_size=2, rank=0, world_size=1, **settings):
        return TrainPipeline(records, "train", data_config(records, **settings), batch_size, SEED, rank, world_size)

    return make


def test_shapes_types_and_steps(make):
    pipeline = make(4)
    assert pipeline.steps_per_epoch == 2  # 9 images, the incomplete batch is left out
    ((image, label),) = take(pipeline, 1)
    assert image.shape == (4, 3, 32, 32) and image.dtype == np.float32
    assert label.shape == (4, 32, 32) and label.dtype == np.int32


def test_same_for_any_number_of_threads(make):
    assert_equal(take(make(workers=1), 9), take(make(workers=2), 9))
    assert_equal(take(make(workers=64), 1), take(make(workers=1), 1))  # clamped to the cores


@pytest.mark.parametrize("start", [1, 3, 4, 6, 11])
def test_any_position_continues_the_same_sequence(make, start):
    whole = take(make(), 14)  # 4 steps per epoch
    assert_equal(take(make(), 14 - start, start), whole[start:])


def test_each_epoch_has_another_order_and_other_augmentation(make):
    orders = [make().order(epoch) for epoch in range(3)]
    assert all(len(set(order.ravel())) == 8 for order in orders)
    assert (orders[0] != orders[1]).any() and (orders[1] != orders[2]).any()
    np.testing.assert_array_equal(orders[0], make().order(0))
    crops = [{label.tobytes() for _, labels in take(make(), 4, 4 * epoch) for label in labels} for epoch in (0, 1)]
    assert not crops[0] & crops[1]


def test_workers_share_the_global_batch(make):
    whole = take(make(4), 5)
    parts = [take(make(4, rank=rank, world_size=2), 5) for rank in (0, 1)]
    joined = [
        tuple(np.concatenate(pair) for pair in zip(first, second, strict=True))
        for first, second in zip(*parts, strict=True)
    ]
    assert_equal(joined, whole)


def test_batch_that_does_not_fit(make):
    with pytest.raises(UserError, match="train.batch_size: a batch of 10 is larger than the split 'train' with its 9"):
        make(10)
    with pytest.raises(UserError, match="batch_size: 3 images at a time .* cannot be divided among 2 workers"):
        make(3, world_size=2)


def test_samples_of_different_size_cannot_be_batched(raw, tmp_path, data_config):
    write_pair(raw, "train", "other", size=(50, 70))
    write_records(load_dataset_info("folder", raw), raw, tmp_path / "out")
    data = data_config(tmp_path / "out", train_transforms=[{"name": "normalize"}])
    with pytest.raises(UserError, match="data.train_transforms: the samples differ in size"):
        take(TrainPipeline(tmp_path / "out", "train", data, 5, SEED), 2)


def test_crop_larger_than_the_image_is_padded(make):
    ((image, label),) = take(make(crop=[96, 128], train_transforms=[{"name": "random_crop"}, {"name": "pad"},
                                                                    {"name": "normalize"}]), 1)  # fmt: skip
    assert image.shape[2:] == label.shape[1:] == (96, 128)
    assert (label[:, 40:] == 255).all() and (label[:, :40, :60] != 255).all()
    assert np.abs(image[:, :, 40:]).max() < 0.01  # the mean color, normalized


def test_error_inside_the_pipeline_names_the_sample(make, monkeypatch):
    def fail(data):
        raise UserError("the image cannot be decoded")

    monkeypatch.setattr("src.data.pipeline.decode_image", fail)
    with pytest.raises(UserError, match=r"records: sample t\d: the image cannot be decoded"):
        take(make(), 1)


def test_corrupt_record_in_the_middle_is_an_error_in_plain_words(make, records):
    pipeline = make(1)
    path = records / "train.mindrecord"
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    start = len(data) // 2
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)
    with pytest.raises(UserError, match=str(records)):
        take(pipeline, 9)


def test_evaluation_gives_each_image_once_at_its_own_size(raw, tmp_path, data_config):
    write_pair(raw, "val", "wide", size=(40, 90))
    write_records(load_dataset_info("folder", raw), raw, tmp_path / "out")
    data = data_config(tmp_path / "out", eval_transforms=[{"name": "resize", "size": [64, 64]}, {"name": "normalize"}])
    samples = list(EvalPipeline(tmp_path / "out", "val", data))
    assert sorted(name for _, _, name in samples) == ["v0", "v1", "v2", "wide"]
    for image, label, name in samples:
        assert image.shape == (1, 3, 64, 64) and image.dtype == np.float32
        assert label.shape == ((40, 90) if name == "wide" else (40, 60)) and label.dtype == np.int32
    shards = [EvalPipeline(tmp_path / "out", "val", data, rank, 3) for rank in range(3)]
    assert sum(len(shard) for shard in shards) == 4
    assert sorted(name for shard in shards for _, _, name in shard) == ["v0", "v1", "v2", "wide"]


def test_colors_arrive_as_rgb(tmp_path, data_config):
    for split in ("train", "val"):
        write_pair(tmp_path / "raw", split, "x", suffix=".png")
    (tmp_path / "raw" / "classes.yaml").write_text("classes: [a, b, c]\n")
    image, _ = write_pair(tmp_path / "raw", "val", "x", suffix=".png")
    write_records(load_dataset_info("folder", tmp_path / "raw"), tmp_path / "raw", tmp_path / "out")
    data = data_config(tmp_path / "out", mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0])
    ((found, _, _),) = EvalPipeline(tmp_path / "out", "val", data)
    np.testing.assert_array_equal(found[0].transpose(1, 2, 0), image)
