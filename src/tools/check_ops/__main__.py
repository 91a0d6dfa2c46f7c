"""Say which operators of a network a target lacks, from what MindSpore itself declares. Needs no such device.

    python -m src.tools.check_ops runs/quickstart/model.mindir --target Ascend
    python -m src.tools.check_ops --config config/ecenet_swin_base_ade20k_640.yaml --target GPU

With ``--config`` the network is compiled as Ascend and GPU compile it. Exit status 1 if operators are lacking.
"""

import argparse
import sys
from pathlib import Path

from src.config import load_config
from src.errors import UserError, run_command


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m src.tools.check_ops", description="Say which operators of a network a target lacks."
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help=".mindir")
    parser.add_argument("--config", metavar="FILE", help="check the network of a config instead")
    parser.add_argument("--target", required=True, choices=["Ascend", "GPU", "CPU"])
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="with --config (default: data.crop)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--list", action="store_true", help="also list the operators that the target has")
    arguments = parser.parse_args()
    if (arguments.file is None) == (arguments.config is None):
        parser.error("give either a FILE.mindir or --config FILE")
    return arguments


def operators_of_config(path: str, overrides: list[str], size: list[int] | None, target: str) -> dict[str, list[str]]:
    """Compile the network of a config for inference, in the form in which the target computes it."""
    config = load_config(path, overrides)
    height, width = size or config.data.crop
    if min(height, width) < 32:
        raise UserError(f"--size {height} {width}: the network needs at least 32 pixels a side")

    import mindspore as ms
    from mindspore import ops

    from src import device
    from src.models import build_model
    from src.tools.check_ops.graph import operators_of

    device.setup("CPU", native="off")
    network = build_model(config.model, num_classes=19)  # their number changes no operator
    network.set_train(False)
    form = "products" if target == "CPU" else "standard"
    return operators_of(network, ops.zeros((1, 3, height, width), ms.float32), form=form)


def main() -> None:
    """Read the operators, look each of them up, report."""
    arguments = parse_arguments()
    from src.tools.check_ops.graph import read_operators
    from src.tools.check_ops.report import check, describe

    if arguments.config:
        operators = operators_of_config(arguments.config, arguments.set, arguments.size, arguments.target)
    else:
        operators = read_operators(arguments.file)
    findings = check(operators, arguments.target)
    print(describe(findings, arguments.target, arguments.list))
    sys.exit(any(finding.lacking for finding in findings))


if __name__ == "__main__":
    run_command(main)
