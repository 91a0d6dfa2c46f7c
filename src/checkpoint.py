"""Checkpoints that appear whole or not at all, carry a checksum, and load only where they fit.

A file is a MindSpore ``.ckpt``: the network's parameters under their own names, in ``last.ckpt`` also those
of the optimizer and the step under ``train.<name>``, and one string ``__meta__`` with JSON (checksum, step, classes,
config, ...). Any MindSpore program can load the network from it. A file may hold weights in half precision; they become
fp32 when it is loaded.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn

from src.errors import UserError, listing

META = "__meta__"
TRAIN = "train."
LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory."""

    path: Path
    tensors: dict[str, np.ndarray]
    meta: dict[str, Any]  # empty for a file that another program wrote


def save_checkpoint(
    path: Path, network: nn.Cell, meta: dict[str, Any], state: Iterable[Parameter] = (), before: Path | None = None
) -> None:
    """Write the network's parameters and, as ``train.<name>``, those of ``state``; see `write_checkpoint`."""
    tensors = {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}
    tensors |= {TRAIN + parameter.name: parameter.asnumpy() for parameter in state}
    write_checkpoint(path, tensors, meta, before)


def write_checkpoint(
    path: Path, tensors: dict[str, np.ndarray], meta: dict[str, Any], before: Path | None = None
) -> None:
    """Write ``path`` in one step: a reader finds the old file or the new one, never a part.

    Args:
        meta: values that JSON can hold; a checksum of all tensors and of these is added.
        before: where the old file goes; None replaces it. Between the two renames there is none under ``path``.

    Raises:
        UserError: the file cannot be written (folder not writable, disk full); an older file stays as it is.
    """
    meta = {**meta, "checksum": checksum(tensors, meta)}
    beside = path.with_name(f".{path.stem}.writing.ckpt")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        entries = [{"name": name, "data": Tensor(values)} for name, values in tensors.items()]
        ms.save_checkpoint(entries, str(beside), append_dict={META: json.dumps(meta)})
        _flush(beside)
        if before and path.exists():
            path.replace(before)
        beside.replace(path)
    except (OSError, RuntimeError) as error:
        for part in (beside, beside.with_suffix(".tmp")):  # the second is MindSpore's own, renamed when complete
            part.unlink(missing_ok=True)
        kept = "; the checkpoint before it is intact" if path.exists() else ""
        raise UserError(f"{path}: cannot be written ({_first_line(error)}){kept}") from None


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint and verify its checksum.

    Raises:
        UserError: the file is missing, not a checkpoint, truncated, or its contents have changed.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"checkpoint not found: {path}")
    try:
        values = ms.load_checkpoint(str(path))
    except Exception as error:  # the reader raises whatever the damaged bytes lead to
        raise UserError(
            f"{path}: not a readable MindSpore checkpoint, or truncated ({path.stat().st_size} bytes; "
            f"{_first_line(error)}); use another checkpoint"
        ) from None
    text = values.pop(META, None)
    tensors = {name: value.asnumpy() for name, value in values.items() if isinstance(value, Tensor)}
    if not isinstance(text, str):
        return Checkpoint(path, _restored(tensors), {})
    meta = _read_meta(text)
    found = meta.pop("checksum", None)
    # Files of earlier versions have one of the tensors alone.
    if found not in (checksum(tensors, meta), checksum(tensors)):
        raise UserError(f"{path}: the contents do not match their checksum: the file is damaged; use another one")
    return Checkpoint(path, _restored(tensors), {**meta, "checksum": found})


def _read_meta(text: str) -> dict[str, Any]:
    """What `write_checkpoint` noted; empty if it is damaged."""
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError, SystemError):  # the last where damaged bytes have become an impossible text
        return {}
    return meta if isinstance(meta, dict) else {}


def load_network(network: nn.Cell, checkpoint: Checkpoint) -> None:
    """Copy the network's parameters from ``checkpoint``.

    Raises:
        UserError: a parameter is missing, unknown or of another shape; nothing is loaded then.
    """
    own = {name: values for name, values in checkpoint.tensors.items() if not name.startswith(TRAIN)}
    _assign(network.get_parameters(), own, checkpoint.path, "is of another model")


def load_state(state: Iterable[Parameter], checkpoint: Checkpoint) -> None:
    """Copy the optimizer's state and the step from a ``last.ckpt``; errors as in `load_network`."""
    own = {n.removeprefix(TRAIN): v for n, v in checkpoint.tensors.items() if n.startswith(TRAIN)}
    _assign(state, own, checkpoint.path, "holds another training state")


def averaged(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The network's parameters as they are evaluated: averaged where the training averaged them."""
    tensors, average = checkpoint.tensors, f"{TRAIN}average."
    own = {name: values for name, values in tensors.items() if not name.startswith(TRAIN)}
    return {name: tensors.get(average + name, values) for name, values in own.items()}


def halved(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors in fp16, except those of one axis (norms, biases), which are small, and those beyond its range."""
    return {
        name: values.astype(np.float16)
        if values.dtype == np.float32 and values.ndim > 1 and np.abs(values).max(initial=0) <= LARGEST_HALF
        else values
        for name, values in tensors.items()
    }


def _restored(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors with fp16 turned into fp32, which all parameters have."""
    return {n: values.astype(np.float32) if values.dtype == np.float16 else values for n, values in tensors.items()}


def checksum(tensors: dict[str, np.ndarray], meta: dict[str, Any] | None = None) -> str:
    """SHA-256 over names, shapes, types and bytes, in the order of the names, and over ``meta`` as JSON."""
    digest = hashlib.sha256()
    if meta is not None:  # as it will be read again: tuples have become lists, and keys texts
        digest.update(json.dumps(json.loads(json.dumps(meta)), sort_keys=True).encode())
    for name in sorted(tensors):
        values = np.ascontiguousarray(tensors[name])
        digest.update(f"{name}|{values.dtype}|{values.shape}|".encode())
        digest.update(values.data)
    return digest.hexdigest()


def assign(wanted: Mapping[str, Parameter], values: Mapping[str, np.ndarray], problem: str) -> None:
    """Give every parameter in ``wanted`` its value; both go by the same names.

    Raises:
        UserError: begins with ``problem``: a value is missing, unknown or of another shape; nothing is assigned then.
    """
    lines = [f"missing: {name} {tuple(wanted[name].shape)}" for name in wanted if name not in values]
    lines += [f"unknown: {name} {value.shape}" for name, value in values.items() if name not in wanted]
    lines += [
        f"shape: {name} is {values[name].shape}, expected {tuple(parameter.shape)}"
        for name, parameter in wanted.items()
        if name in values and tuple(parameter.shape) != values[name].shape
    ]
    if lines:
        raise UserError(f"{problem} ({len(lines)} of {len(wanted)} parameters differ):\n" + listing(lines, limit=5))
    for name, parameter in wanted.items():
        parameter.set_data(Tensor(values[name], parameter.dtype))


def _assign(parameters: Iterable[Parameter], values: dict[str, np.ndarray], path: Path, what: str) -> None:
    assign({parameter.name: parameter for parameter in parameters}, values, f"{path}: {what} than the config describes")


def _flush(path: Path) -> None:
    """Have the bytes on the disk before the rename, so that a power cut cannot leave an empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
