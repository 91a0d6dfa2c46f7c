"""Start a backbone from a pretrained file: a converted ``.ckpt``, a checkpoint of this project, or a foreign file."""

from collections.abc import Mapping
from pathlib import Path

from mindspore import Tensor, nn

from src.schema import BackboneConfig, DataConfig
from src.weights.catalog import check_normalisation, normalisation, refuse_caffe
from src.weights.convert import convert
from src.weights.packaged import resolve
from src.weights.reading import read_weights
from src.weights.sources import detect


def load_backbone_weights(
    backbone: nn.Cell, backbone_config: BackboneConfig, path: str | Path, data_config: DataConfig | None = None
) -> str:
    """Copy pretrained weights into a backbone; whose names they have is found out from the file.

    Args:
        backbone: the cell, with or without the prefix ``backbone.`` in its parameters' names.
        backbone_config: its section of the config; the name is used.
        path: file of any format of ``reading.read_tensors``, or the word ``package`` (see ``packaged``).
        data_config: section ``data``, whose normalisation is compared with that of the weights.

    Returns:
        A line to print about how much was loaded; where ``data_config`` contradicts the weights, a warning below it.

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
        warning = check_normalisation(known, data_config)
        text += f"\n{warning}" if warning else ""
    return text


def own_parameters(backbone: nn.Cell) -> Mapping[str, object]:
    """Return the backbone's parameters by name, without the prefix that a segmentor gives them.

    Integer parameters (the states of random layers) are no weights and are left out.
    """
    return {p.name.removeprefix("backbone."): p for p in backbone.get_parameters() if p.dtype.is_floating_point}


def _as_meta(source: str, arch: str, path: str | Path) -> dict[str, object]:
    values = normalisation(source, arch, path)
    return {} if values is None else values._asdict()
