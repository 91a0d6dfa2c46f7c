"""Explore what a trained model sees: a page in the browser, served by this program to this machine alone.

    python -m src.tools.explore --checkpoint runs/ecenet_shapes --input photos

Prints the address to open, which ends with a random token, and answers until Ctrl-C. Nothing is written.
"""

import argparse
import secrets
from pathlib import Path

from src.errors import UserError, run_command


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Explore a trained model on a local page.")
    parser.add_argument("--checkpoint", required=True, metavar="PATH", help=".ckpt, .mindir, .onnx or a run folder")
    parser.add_argument("--config", metavar="FILE", help="the config it was trained with (default: the one inside)")
    parser.add_argument("--input", required=True, type=Path, metavar="DIR", help="a folder with images")
    parser.add_argument("--megapixels", type=float, default=1.0, help="larger images are scaled down (default: 1)")
    parser.add_argument("--port", type=int, default=0, help="of the page (default: any free one)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    return parser.parse_args()


def main() -> None:
    """Open the model, serve the page and compute what it asks for."""
    arguments = parse_arguments()
    if not arguments.input.is_dir():
        raise UserError(f"--input {arguments.input}: is not a folder; give the folder with the images")
    if not 0.01 <= arguments.megapixels <= 16:
        raise UserError(f"--megapixels {arguments.megapixels}: must be between 0.01 and 16")
    if not 0 <= arguments.port <= 65535:
        raise UserError(f"--port {arguments.port}: must be between 0 and 65535")
    try:
        from src.explore.server import ADDRESS, Server, build_app
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise UserError(f"{error.name} is not installed: pip install -r requirements-explore.txt") from None
    from src.api import load
    from src.explore.explorer import Explorer
    from src.explore.folder import Folder
    from src.explore.jobs import Jobs

    folder = Folder(arguments.input, arguments.megapixels)
    explorer = Explorer(load(arguments.checkpoint, arguments.config, arguments.set), folder)
    jobs, token = Jobs(), secrets.token_urlsafe(24)
    with Server(build_app(explorer, jobs, token), arguments.port) as server:
        print(f"{len(folder.keys())} images; open http://{ADDRESS}:{server.port}/{token}/ (Ctrl-C ends)", flush=True)
        jobs.run()


if __name__ == "__main__":
    run_command(main)
