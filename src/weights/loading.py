"""Start a network from pretrained files: a converted ``.ckpt``, a checkpoint of this project, or a foreign file."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from mindspore import Parameter, Tensor, nn

from src.checkpoint import assign, load_checkpoint
from src.errors import UserError
from src.models.segmentor import Segmentor
from src.schema.data import DataConfig
from src.schema.decoders import CPTConfig
from src.schema.model import BackboneConfig, ModelConfig
from src.weights.convert import convert
from src.weights.normalization import check_normalization, normalization, refuse_caffe
from src.weights.packaged import resolve
from src.weights.reading import read_tensors, read_weights
from src.weights.sources import detect

RANDOM = "random"  # `memory.init` without a file


def load_pretrained(network: Segmentor, config: ModelConfig, data: DataConfig) -> None:
    """Load the files that ``model.backbone.weights``, ``model.decoder.weights`` and CPT's ``memory.init`` name.

    Prints what was loaded.

    Raises:
        UserError: a file cannot be read or does not fit; names the key.
    """
    loaders: dict[str, Callable[[str], str]] = {
        "backbone.weights": lambda file: load_backbone_weights(network.backbone, config.backbone, file, data),
        "decoder.weights": lambda file: load_decoder_weights(network.decoder, file),
        "decoder.memory.init": lambda file: load_memory(network.decoder, file),
    }
    for key, file in initial_files(config).items():
        try:
            print(loaders[key](file))
        except UserError as error:
            raise UserError(f"model.{key}: {error}") from None


def initial_files(config: ModelConfig) -> dict[str, str]:
    """The files that ``load_pretrained`` reads, by their key in ``model``."""
    decoder = config.decoder
    files = {"backbone.weights": config.backbone.weights, "decoder.weights": decoder.weights}
    if isinstance(decoder, CPTConfig) and decoder.memory and decoder.source == "prototypes":
        files["decoder.memory.init"] = None if decoder.memory.init == RANDOM else decoder.memory.init
    return {key: file for key, file in files.items() if file}


def load_backbone_weights(
    backbone: nn.Cell, backbone_config: BackboneConfig, path: str | Path, data_config: DataConfig | None = None
) -> str:
    """Copy pretrained weights into a backbone; the naming scheme is detected from the file.

    Args:
        backbone: the cell, with or without the prefix ``backbone.`` in its parameters' names.
        backbone_config: its section of the config; the name is used.
        path: file of any format of ``reading.read_tensors``, or the word ``package`` (see ``packaged``).
        data_config: section ``data``, whose normalization is compared with that of the weights.

    Returns:
        A line that says how much was loaded; where ``data_config`` contradicts the weights, with a warning below.

    Raises:
        UserError: the file cannot be read, covers less than 95 % of the backbone or has a parameter of another shape;
            the backbone is unchanged then.
    """
    arch, path = backbone_config.name, resolve(path)
    tensors, meta = read_weights(path)
    parameters = own_parameters(backbone)
    target = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    source = detect(arch, tensors, target)
    if source != "own":
        refuse_caffe(path)
    values, report = convert(source, arch, tensors, target, str(path))
    for name, value in values.items():
        parameters[name].set_data(Tensor(value, parameters[name].dtype))
    text = f"{path}: {report}"
    if data_config is not None:
        known = meta if source == "own" else {"source": source, **_as_meta(source, arch, path)}
        warning = check_normalization(known, data_config)
        text += f"\n{warning}" if warning else ""
    return text


def own_parameters(backbone: nn.Cell) -> Mapping[str, Parameter]:
    """Return the backbone's parameters by name, without the prefix that a segmentor gives them.

    Integer parameters (the states of random layers) are not weights and are left out.
    """
    return {p.name.removeprefix("backbone."): p for p in backbone.get_parameters() if p.dtype.is_floating_point}


def random_states(cell: nn.Cell) -> dict[str, np.ndarray]:
    """Return the states of random layers by name; a network's checkpoint holds them too."""
    return {p.name: p.asnumpy() for p in cell.get_parameters() if is_random_state(p.name)}


def is_random_state(name: str) -> bool:
    """Tell whether a parameter is the state of a random layer."""
    return name.rpartition(".")[2] == "state"


def load_decoder_weights(decoder: nn.Cell, path: str | Path) -> str:
    """Copy a decoder from a checkpoint of this project, whole (``decoder.*``) or converted with ``--arch head``.

    Returns:
        A line to print.

    Raises:
        UserError: the file cannot be read or is of another decoder; the decoder is unchanged then.
    """
    checkpoint = load_checkpoint(path)
    wanted = {p.name.removeprefix("decoder."): p for p in decoder.get_parameters() if not is_random_state(p.name)}
    own = {name: values for name, values in checkpoint.tensors.items() if not is_random_state(name)}
    found = {n.removeprefix("decoder."): v for n, v in own.items() if n.startswith("decoder.")}
    assign(wanted, found, f"{path}: does not fit model.decoder")
    return f"{path}: loaded all {len(wanted)} parameters of the decoder"


def load_memory(decoder: nn.Cell, path: str | Path) -> str:
    """Let CPT's memories start from the class means of a file that ``src.tools.class_means`` wrote.

    Returns:
        A line to print.

    Raises:
        UserError: the file cannot be read, or holds no means of as many classes and at least as many channels.
    """
    means = read_tensors(path).get("means")
    memories = [block.prototypes.memory for block in decoder.blocks]
    classes, channels = memories[0].prototypes.shape
    found = "no 'means'" if means is None else f"means {list(means.shape)}"
    if means is None or means.ndim != 2 or len(means) != classes or means.shape[1] < channels:
        raise UserError(
            f"{path}: found {found}, expected [{classes}, {channels} or more]: one row per class, at least "
            "model.decoder.channels columns; write it with python -m src.tools.class_means"
        )
    if not np.isfinite(means).all():
        raise UserError(f"{path}: the means hold NaN or infinity; write it again with python -m src.tools.class_means")
    for memory in memories:
        memory.start_from(means)
    known = int((np.abs(means[:, :channels]).max(1) > 0).sum())
    return f"{path}: the memory starts from the means of {known} of {classes} classes"


def _as_meta(source: str, arch: str, path: str | Path) -> dict[str, object]:
    values = normalization(source, arch, path)
    return {} if values is None else values._asdict()
