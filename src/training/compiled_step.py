"""Compiled training steps that later processes take over: a resumed run, a restart, another seed.

Compiling a step takes MindSpore up to a minute. Its compile cache saves most of that, but it compares nothing except
the sources that it finds itself: whoever changes a learning rate gets the old graph. So each entry here lies in a
folder of its own, under a key of everything that the graph is made of. The initial weights and the states of all random
numbers are parameters, not parts of the graph.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import mindspore as ms
from mindspore import Tensor, nn

from src.files import cache_folder
from src.models.layers import backend
from src.native import library
from src.parallel import rank, world_size
from src.schema import Config

KEPT = 12  # entries
COMPLETE = "complete"  # a file of an entry, written when its graph has run
_SWITCH, _PATH = "MS_COMPILER_CACHE_ENABLE", "MS_COMPILER_CACHE_PATH"
_used = False  # MindSpore numbers a process's graphs and keeps the first path, so a process can use one entry


@contextmanager
def reused(config: Config, step: nn.Cell) -> Iterator[bool]:
    """Compile ``step`` within; tell whether its graph comes from an earlier process.

    Does nothing unless ``device.compile_cache`` is set, and for all but the first step of a process. An entry that
    another process is using at the moment, or that cannot be written, is not used.
    """
    global _used
    if _used or not config.device.compile_cache or config.device.mode != "graph" or config.train.sink_size:
        yield False
        return
    folder = cache_folder("graphs") / key(config, step)
    with _locked(folder) as locked:
        if not locked:
            yield False
            return
        _used = True
        complete = folder / COMPLETE
        os.environ.update({_SWITCH: "1", _PATH: str(folder)})
        try:
            yield complete.exists()
            if any(folder.rglob("*.mindir")):
                complete.touch()
        except BaseException:
            complete.unlink(missing_ok=True)  # whatever is wrong with it, the next process compiles again
            raise
        finally:
            del os.environ[_SWITCH], os.environ[_PATH]
    _drop_old(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock an entry and empty it if it is not complete; False if that cannot be done."""
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(folder.with_suffix(".lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not (folder / COMPLETE).exists():
                shutil.rmtree(folder)
                folder.mkdir()
        except OSError:
            yield False
            return
        yield True


def key(config: Config, step: nn.Cell) -> str:
    """Name of the entry of ``step``, made of all that its graph depends on."""
    settings = config.model_dump(mode="json")
    del settings["train"]["seed"]  # it sets parameters only
    digest = hashlib.sha256(repr(settings).encode())
    machine = (ms.__version__, sys.version, ms.get_context("device_target"), rank(), world_size())
    digest.update(repr((*machine, backend.limit_from_environment(), library.path(), sys.argv[0])).encode())
    for source in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(source.read_bytes())
    for parameter in step.get_parameters():
        facts = (parameter.name, parameter.shape, parameter.dtype, parameter.requires_grad)
        digest.update(repr(facts).encode())
    for name, cell in step.cells_and_names():
        digest.update(repr((name, type(cell).__qualname__)).encode())
        for attribute, value in sorted(vars(cell).items()):
            if not attribute.startswith("_") and attribute != "arguments_key":
                digest.update(repr((attribute, _constant(value))).encode())
    return digest.hexdigest()[:20]


def _constant(value):
    """What a graph takes over from an attribute; None for what it does not, or what the sources tell."""
    if isinstance(value, ms.Parameter):
        return None
    if isinstance(value, Tensor):
        return value.asnumpy().tobytes()
    if isinstance(value, list | tuple):
        return [_constant(one) for one in value]
    return value if isinstance(value, bool | int | float | str) else None


def _drop_old(folder: Path) -> None:
    """Leave the entries that were used last."""
    others = [path.parent for path in folder.parent.glob(f"*/{COMPLETE}") if path.parent != folder]
    for path in sorted(others, key=lambda path: (path / COMPLETE).stat().st_mtime, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
