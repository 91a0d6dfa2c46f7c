"""Read the tensors of any supported file; its contents decide the format, the suffix only helps the messages."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from src.checkpoint import TRAIN, load_checkpoint
from src.errors import UserError
from src.weights import torch_file
from src.weights.containers import unwrap

# First bytes of files that are often mistaken for weights, and what to do about them.
_MISTAKEN = [
    (b"<!DOCTYPE", "is a web page (a download that failed or wanted a login); fetch the file itself"),
    (b"<html", "is a web page (a download that failed or wanted a login); fetch the file itself"),
    (b"version https://git-lfs", "is a pointer of git-lfs, not the file; fetch it with: git lfs pull"),
    (b"\x1f\x8b", "is compressed by gzip; unpack it first"),
    (b"\x89HDF", "is HDF5 (Keras), which is not supported"),
]
_SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "bfloat16", "I64": "<i8", "I32": "<i4"}
_SAFETENSORS |= {"I16": "<i2", "I8": "<i1", "U8": "<u1", "BOOL": "|b1"}
_HEADER = 600  # bytes that are enough to tell the formats apart
_LARGEST_UNPACKED = 8 << 30  # bytes; the largest backbone here has 0.8 GB in fp32


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Return the tensors of `read_weights` alone."""
    return read_weights(path)[0]


def read_weights(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read all tensors of a weights file by name, and the notes that a ``.ckpt`` of this project carries (else none).

    Formats: ``torch.save`` (zip and legacy, without PyTorch: see ``torch_file``), safetensors, NumPy's ``.npz``
    (without pickles) and MindSpore's ``.ckpt``. 16-bit floats come as float32. Dictionaries around the weights
    are unwrapped (see ``containers``); the state of a training run in this project's ``.ckpt`` is left out.

    Raises:
        UserError: the file is missing, empty, truncated or of another format, holds something other than tensors, or
            no tensors.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the file with the weights in it")
    if not path.is_file():
        raise UserError(f"weights not found: {path}")
    with path.open("rb") as file:
        head = file.read(_HEADER)
    if not head:
        raise UserError(f"{path}: is empty (0 bytes); fetch it again")
    for start, problem in _MISTAKEN:
        if head.startswith(start):
            raise UserError(f"{path}: {problem}")
    reader = _reader(path, head)
    tensors, meta = _read_mindspore(path) if reader is None else (reader(path), {})
    if not tensors:
        raise UserError(
            f"{path}: no tensors found; expected a state dictionary (name: tensor), as such or under one key"
        )
    return tensors, meta


def _reader(path: Path, head: bytes) -> Callable[[Path], dict[str, np.ndarray]] | None:
    """Choose by the first bytes; None means MindSpore's format, which has no signature."""
    if head.startswith(torch_file.ZIP_PREFIX):
        return _read_npz if _is_npz(path) else _read_torch
    if head.startswith(torch_file.LEGACY_PREFIX):
        return _read_torch
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 27:
        return _read_safetensors
    if head[257:262] == b"ustar":
        raise UserError(
            f"{path}: is a tar archive, perhaps of PyTorch before 0.2, which is not supported; "
            "load it there and save it again with torch.save"
        )
    if path.suffix.lower() in (".pth", ".pt", ".bin", ".pkl", ".npz", ".safetensors"):
        raise UserError(
            f"{path}: begins like no file of torch.save, safetensors or NumPy, so it is damaged or of another program; "
            "fetch it again, or save it with torch.save or safetensors"
        )
    return None


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    tree, read = torch_file.open_torch(path)
    lazy = unwrap(tree, lambda value: isinstance(value, torch_file.LazyTensor))
    return {name: read(tensor) for name, tensor in lazy.items()}


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        entries = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise UserError(f"{path}: not readable as safetensors, or truncated ({error}); fetch it again") from None
    tensors = {}
    for name, entry in entries:
        if entry["dtype"] not in _SAFETENSORS:
            raise UserError(f"{path}: {name} has type {entry['dtype']}; supported: {', '.join(_SAFETENSORS)}")
        tensors[name] = torch_file.widen(entry["data"], _SAFETENSORS[entry["dtype"]]).reshape(entry["shape"])
    return unwrap(tensors, lambda value: True)


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.endswith(".npy") for name in archive.namelist())
    except Exception:  # a broken archive raises whatever its bytes lead to
        return path.suffix.lower() == ".npz"


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > max(_LARGEST_UNPACKED, 4 * path.stat().st_size):
            raise ValueError(f"would unpack to {unpacked} bytes, which no backbone needs")
        with np.load(path, allow_pickle=False) as archive:
            tensors = {name: archive[name] for name in archive.files}
    except Exception as error:  # see above
        if "allow_pickle" in str(error):
            raise UserError(
                f"{path}: holds pickled Python objects, which are not loaded for safety; "
                "save plain arrays: numpy.savez(FILE, **{name: array})"
            ) from None
        raise UserError(f"{path}: not readable as .npz, or truncated ({error}); fetch it again") from None
    tensors = {name: values for name, values in tensors.items() if values.dtype.kind in "fiub"}
    halves = {name: values.astype(np.float32) for name, values in tensors.items() if values.dtype == np.float16}
    return unwrap(tensors | halves, lambda value: True)


def _read_mindspore(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    checkpoint = load_checkpoint(path)
    tensors = {name: values for name, values in checkpoint.tensors.items() if not name.startswith(TRAIN)}
    return tensors, checkpoint.meta
