"""Damage files at random, and read them: a clean error or a right result, nothing else.

    python -m tests.fuzz READER FOLDER [COUNT [SEED]]

reads COUNT damaged files in this process and prints what came of them as JSON. It runs in a process of its own, so that
a crash is seen as one. Opening a file for writing, starting a program or a connection while a file is read is noticed.
"""

import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import src  # noqa: F401  (sets the environment before mindspore is imported)

from src.errors import UserError  # isort: skip
from tests.commands import ROOT

LIMIT = 10  # seconds for one file
FORBIDDEN = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "os.remove")
WORDS = (
    b"\0", b"\xff" * 8, b"\x80\x02", b"-1", b"1e999", b"NaN", b"null", b"[]", b"{}", b'""', b"[" * 3000, b"{" * 3000,
    b"9" * 400, b"&a [*a]", b"!!python/object/apply:os.system ['false']", b"cos\nsystem\n(S'false'\ntR.", b"../..",
)  # fmt: skip


def damage(data: bytes, generator: random.Random) -> bytes:
    """Do one to four bad things to a file."""
    data = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        place = generator.randrange(len(data) + 1)
        length = min(len(data) - place, generator.choice((1, 1, 2, 4, 8, 64, 1024)))
        kind = generator.randrange(7)
        if kind == 0 and length:
            data[place] ^= 1 << generator.randrange(8)
        elif kind == 1:
            data[place : place + length] = generator.randbytes(length)
        elif kind == 2:
            del data[place : place + length]
        elif kind == 3:
            data[place:place] = data[place : place + length]
        elif kind == 4:
            data[place:place] = generator.choice(WORDS)
        elif kind == 5:
            data[place : place + length] = generator.choice(WORDS)
        elif generator.random() < 0.3:
            del data[place:]
    return bytes(data)


@contextmanager
def watched(reading: list[bool]):
    """Fail on what no reader does, and on what takes too long."""

    def hook(event, arguments):
        if reading[0]:
            writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
            if event.startswith(FORBIDDEN) or writes:
                raise AssertionError(f"a reader did this: {event} {arguments}")

    def late(*_):
        raise AssertionError(f"took more than {LIMIT} s")

    sys.addaudithook(hook)
    signal.signal(signal.SIGALRM, late)
    yield
    reading[0] = False


# ------------------------------------------------------------- readers: (files to damage, read one, check what it gave)
def torch_files(folder):
    from src.weights.torch_file import LazyTensor, open_torch

    def tensors(tree):
        if isinstance(tree, LazyTensor):
            yield tree
        elif isinstance(tree, dict):
            for value in tree.values():
                yield from tensors(value)
        elif isinstance(tree, (list, tuple)):
            for value in tree:
                yield from tensors(value)

    def read(path):
        tree, array = open_torch(path)
        for tensor in tensors(tree):
            assert array(tensor).shape == tuple(tensor.shape)

    return sorted((ROOT / "tests" / "golden" / "torch_files").glob("*.pth")), read


def checkpoints(folder):
    import numpy as np

    from src.checkpoint import load_checkpoint, write_checkpoint

    path = folder / "whole.ckpt"
    tensors = {f"layer{number}.weight": np.arange(6, dtype=np.float32).reshape(2, 3) + number for number in range(4)}
    meta = {"step": 7, "classes": ["a", "b"], "progress": {"step": 7, "best": None}}
    write_checkpoint(path, tensors, meta)

    def read(damaged):
        found = load_checkpoint(damaged)
        if found.meta:  # without, it is some other program's file, and training refuses to go on from it
            assert {key: found.meta[key] for key in meta} == meta
            assert found.tensors.keys() == tensors.keys()
            for name, values in tensors.items():
                np.testing.assert_array_equal(found.tensors[name], values)

    return [path], read


def descriptions(folder):
    from src.inference.exported import description_file, read_description

    facts = {"classes": ["a", "b"], "colors": [[1, 2, 3], [4, 5, 6]], "size": [64, 64], "mean": [1.0], "std": [2.0]}
    path = description_file(folder / "model.mindir")
    path.write_text(json.dumps(facts, indent=2))

    def read(damaged):
        target = description_file(folder / "damaged.mindir")
        shutil.copy(damaged, target)
        assert isinstance(read_description(folder / "damaged.mindir"), dict)

    return [path], read


def configs(folder):
    from src.config import load_config

    files = [ROOT / "config" / "fpn_shapes.yaml", ROOT / "config" / "ecenet_shapes.yaml"]
    for base in (ROOT / "config").rglob("*.yaml"):
        target = folder / base.relative_to(ROOT / "config")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(base, target)
    return files, load_config


def records(folder):
    from src.data.catalog import load_dataset_info
    from src.data.mindrecord import write_records
    from src.data.records import check_records, read_metadata
    from src.schema.data import ShapesConfig

    whole, copy = folder / "whole", folder / "copy"
    shapes = ShapesConfig(train=2, val=2, size=[32, 32], seed=0)
    metadata = write_records(load_dataset_info("shapes", None, None), None, whole, shapes=shapes)
    names = ("metadata.json", "manifest.json", "val.mindrecord", "val.mindrecord.db")

    def read(damaged, name):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        shutil.copy(damaged, copy / name)
        found = read_metadata(copy)
        check_records(copy)
        assert found == metadata

    return [whole / name for name in names], read


def images(folder):
    from src.data.catalog import load_dataset_info
    from src.data.decoding import encode_png
    from src.data.image_file import read_image
    from src.data.label_check import map_label, read_label
    from src.data.shapes import scene

    image, label = scene(0, "train", 0, (32, 32))
    (folder / "image.png").write_bytes(encode_png(image))
    (folder / "label.png").write_bytes(encode_png(label))
    info = load_dataset_info("shapes", None, None)

    def read(damaged, name):
        if name == "image.png":
            read_image(damaged)
        else:
            raw = read_label(damaged)
            assert map_label(damaged, raw, info).shape == raw.shape

    return [folder / "image.png", folder / "label.png"], read


def mindirs(folder):
    import mindspore as ms
    import numpy as np
    from mindspore import Tensor, nn

    from src.inference.exported import open_exported

    ms.set_device("CPU")
    ms.export(nn.Conv2d(3, 2, 1), Tensor(np.zeros((1, 3, 8, 8), np.float32)), file_name=str(folder / "m"),
              file_format="MINDIR")  # fmt: skip
    (folder / "m.mindir").chmod(0o644)

    def read(damaged):
        assert len(open_exported(damaged).shape) == 4

    return [folder / "m.mindir"], read


READERS = {
    reader.__name__: reader for reader in (torch_files, checkpoints, descriptions, configs, records, images, mindirs)
}


def main(reader: str, folder: Path, count: int = 2000, seed: int = 0) -> None:
    """Read damaged files; the first finding ends it with the file's number and place."""
    import logging

    logging.disable(logging.CRITICAL)
    folder.mkdir(parents=True, exist_ok=True)
    files, read = READERS[reader](folder)
    generator, found, reading = random.Random(f"{reader} {seed}"), Counter(), [False]
    contents = {path: path.read_bytes() for path in files}
    where = [folder / path.name for path in files] if reader == "configs" else None
    named = reader in ("records", "images")
    with watched(reading):
        for number in range(count):
            path = files[number % len(files)]
            target = where[number % len(files)] if where else folder / f"damaged{path.suffix}"
            target.write_bytes(damage(contents[path], generator))
            (folder / "number").write_text(str(number))
            reading[0] = reader not in ("descriptions", "records")  # these copy files around the reading
            signal.alarm(LIMIT)
            try:
                read(target, path.name) if named else read(target)
                found["read"] += 1
            except UserError as error:
                assert str(error), "an error without a word"
                found["refused"] += 1
            except BaseException:
                reading[0] = False
                signal.alarm(0)
                kept = folder / f"finding_{number}{path.suffix}"
                shutil.copy(target, kept)
                found["findings"] += 1
                print(f"{reader}, seed {seed}, file {number} ({kept}):\n{traceback.format_exc()}", file=sys.stderr)
                if found["findings"] >= 5:
                    break
            signal.alarm(0)
            reading[0] = False
            if where:
                target.write_bytes(contents[path])
    print(json.dumps({"reader": reader, "seed": seed, **found}), flush=True)
    os._exit(1 if found["findings"] else 0)  # MindSpore's own end takes seconds


if __name__ == "__main__":
    partial(main, sys.argv[1], Path(sys.argv[2]))(*map(int, sys.argv[3:]))
