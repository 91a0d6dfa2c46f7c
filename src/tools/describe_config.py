"""Keep docs/configuration.md and config/schema.json, which an editor reads, as the schema says.

    python -m src.tools.describe_config            # check: status 2 and a message if one is out of date
    python -m src.tools.describe_config --write    # write them

Of docs/configuration.md only what follows its marker is generated.
"""

import argparse
import json
from pathlib import Path

from src.errors import UserError, run_command
from src.files import write_text
from src.schema.json_schema import editor_schema
from src.schema.tables import tables

ROOT = Path(__file__).parents[2]
COMMAND = "python -m src.tools.describe_config --write"
MARKER = f"<!-- Generated from src/schema by {COMMAND}; edit the schema, not what follows. -->\n"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Check or write what is generated from the schema of a config.")
    parser.add_argument("--write", action="store_true", help="write the files instead of checking them")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="folder of docs and config")
    return parser.parse_args()


def described(root: Path) -> dict[Path, str]:
    """Return the two files and what they should hold.

    Raises:
        UserError: docs/configuration.md is missing or has lost its marker.
    """
    page = root / "docs" / "configuration.md"
    head, marker, _ = (page.read_text(encoding="utf-8") if page.is_file() else "").partition(MARKER)
    if not marker:
        raise UserError(f"{page}: the line after which the generated part begins is missing; add it: {MARKER.strip()}")
    schema = json.dumps(editor_schema(), indent=2, ensure_ascii=False) + "\n"
    return {page: f"{head}{marker}\n{tables()}", root / "config" / "schema.json": schema}


def main() -> None:
    """Check or write."""
    arguments = parse_arguments()
    files = described(arguments.root)
    stale = [f for f, text in files.items() if not f.is_file() or f.read_text(encoding="utf-8") != text]
    if stale and not arguments.write:
        names = " and ".join(str(file.relative_to(arguments.root)) for file in stale)
        raise UserError(f"{names}: out of date with src/schema; run: {COMMAND}")
    for file in stale:
        write_text(file, files[file])
        print(f"wrote {file}")


if __name__ == "__main__":
    run_command(main)
