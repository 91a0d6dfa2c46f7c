"""What a training starts from: pretrained files of its parts, or a whole checkpoint of the same or of other classes."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from src.checkpoint import TRAIN, assign, load_checkpoint
from src.errors import UserError, listing
from src.models.decoders import build_decoder
from src.models.segmentor import Segmentor
from src.schema import Config
from src.schema.model import ModelConfig
from src.weights.convert import Report, judge
from src.weights.loading import initial_files, is_random_state, load_pretrained

Shapes = Mapping[str, tuple[int, ...]]


def load_initial(network: Segmentor, config: Config, classes: Sequence[str]) -> None:
    """Load ``train.init_from``, or else the files of ``load_pretrained``, and print what was loaded.

    Raises:
        UserError: a file cannot be read or does not fit; names the key.
    """
    file = config.train.init_from
    if not file:
        load_pretrained(network, config.model, config.data)
        return
    try:
        print(load_for_fine_tuning(network, config.model, file, classes))
    except UserError as error:
        raise UserError(f"train.init_from: {error}") from None
    for key in initial_files(config.model):
        print(f"model.{key} is not read, because train.init_from gives the whole network")


def load_for_fine_tuning(network: Segmentor, model: ModelConfig, path: str | Path, classes: Sequence[str]) -> str:
    """Copy a training's weights into a network of the same model.

    Where the classes differ, in number, name or order, parameters whose shape depends on their number keep their
    initial values: classifiers, CPT's memory. States of random layers are not weights and stay.

    Returns:
        What was loaded, then and now.

    Raises:
        UserError: the file cannot be read or does not name its classes, covers less than 95 % of backbone or decoder,
            or has another shape; the network is unchanged then.
    """
    checkpoint = load_checkpoint(path)
    trained = checkpoint.meta.get("classes")
    if not trained:
        raise UserError(f"{path}: does not name its classes; give a checkpoint that train.py wrote")
    same = list(trained) == list(classes)
    own = {n: v for n, v in checkpoint.tensors.items() if not n.startswith(TRAIN) and not is_random_state(n)}
    parameters = {p.name: p for p in network.get_parameters() if not is_random_state(p.name)}
    now = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    # With as many other classes, any other number of classes tells which parameters depend on it.
    other = {**now, **_decoder_shapes(network, model, len(trained) + (len(trained) == len(classes)))}
    anew = set() if same else {name for name in now if other[name] != now[name]}
    then = now if len(trained) == len(classes) else other
    for part in ("backbone", "decoder"):
        _check(f"{part} {getattr(model, part).name}", _inside(part, then), _inside(part, own), path)
    wanted = {name: parameter for name, parameter in parameters.items() if name in own and name not in anew}
    assign(wanted, {name: own[name] for name in wanted}, str(path))
    lines = [f"{path}: loaded {len(wanted)} of {len(parameters)} parameters"]
    if anew:
        lines.append(f"initialized anew, because the classes differ:\n{listing(sorted(anew), limit=20)}")
    missing = [name for name in parameters if name not in own and name not in anew]
    if missing:
        lines.append(f"missing (these keep their initial values):\n{listing(missing, limit=10)}")
    lines.append(f"classes then: {_names(trained)}; now: {'the same' if same else _names(classes)}")
    return "\n".join(lines)


def _decoder_shapes(network: Segmentor, model: ModelConfig, num_classes: int) -> Shapes:
    """Shapes of the decoder's parameters with another number of classes."""
    options = model.decoder.model_dump(exclude={"weights"})
    decoder = build_decoder(in_channels=network.backbone.out_channels, num_classes=num_classes, **options)
    return {f"decoder.{p.name}": tuple(p.shape) for p in decoder.get_parameters() if not is_random_state(p.name)}


def _check(part: str, expected: Shapes, found: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Refuse a file whose backbone or decoder is another one."""
    report = Report("this project", part)
    report.loaded = [name for name in expected if name in found]
    report.missing = [name for name in expected if name not in found]
    report.unused = [name for name in found if name not in expected]
    report.size = sum(math.prod(shape) for shape in expected.values())
    report.coverage = sum(math.prod(expected[name]) for name in report.loaded) / report.size
    pairs = [(name, found[name].shape, expected[name]) for name in report.loaded]
    problems = [f"{name}: found {there}, expected {here}" for name, there, here in pairs if there != here]
    if problem := judge(report, problems, extra=sum(found[name].size for name in report.unused)):
        raise UserError(f"{path}: {problem}")


def _inside(part: str, values: Mapping) -> dict:
    return {name: value for name, value in values.items() if name.startswith(f"{part}.")}


def _names(classes: Sequence[str]) -> str:
    shown = ", ".join(classes[:5])
    return f"{len(classes)} ({shown}{', ...' if len(classes) > 5 else ''})"
