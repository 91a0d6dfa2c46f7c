"""Look at a data set before training on it: values, classes, sizes, duplicates, and samples as augmented.

    python -m src.tools.inspect_data --config config/fpn_resnet18_camvid.yaml --set data.root=CamVid

Reads the raw folder if ``data.root`` is set, else the records; writes neither. Prints everything, and writes
``inspection.json``, ``overview.png``, ``samples.png`` and, if there are any, ``duplicates.png``.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from src.config import load_config
from src.errors import UserError, listing, run_command
from src.files import check_writable, write_text

MOST_PAIRS = 12  # rows of duplicates.png


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Look at a data set before training on it.")
    parser.add_argument("--config", required=True, metavar="FILE", help="experiment in YAML")
    parser.add_argument("--split", nargs="+", metavar="NAME", help="default: those of training and of validation")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: runs/<config name>/data")
    parser.add_argument("--samples", type=int, default=6, metavar="N", help="rows of samples.png (default: 6)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    return parser.parse_args()


def main() -> None:
    """Measure, print, write, draw."""
    arguments = parse_arguments()
    config = load_config(arguments.config, arguments.set)
    data = config.data
    if arguments.samples < 1:
        raise UserError(f"--samples {arguments.samples}: expected 1 or more")
    output = arguments.output or Path("runs") / Path(arguments.config).stem / "data"
    check_writable(output)

    from src.data.inspection.findings import as_json, as_metadata, describe_values, warnings
    from src.data.inspection.measure import measure_split, near_duplicates, suggest_weights
    from src.data.inspection.samples import TITLES, sample_rows, shrink
    from src.data.inspection.sources import open_source
    from src.data.summary import summarize
    from src.report.charts import contact_sheet
    from src.report.data_overview import draw_overview
    from src.report.images import IGNORED

    splits = list(dict.fromkeys(arguments.split or (data.train_split, data.val_split)))
    source = open_source(data, splits)
    info, reports = source.info, {}
    print(source.described)
    for split in splits:
        count = source.count(split)
        bar = tqdm(source.samples(split), desc=f"inspect {split}", total=count, unit="image", disable=None)
        reports[split] = measure_split(bar, info, source.labels(split))
    metadata = as_metadata(info, reports)
    print(summarize(metadata, splits, most=len(info.classes)))
    for split, report in reports.items():
        print(f"raw values of {split}:", *describe_values(report, info), sep="\n")
        for what, names in (("without any class", report.unlabeled), ("not usable", report.problems)):
            if names:
                print(f"{split}: {len(names)} of {source.count(split)} images {what}:\n{listing(names)}")
    for warning in warnings(metadata, reports, data):
        print(warning)

    pairs = near_duplicates(*(report.hashes for report in list(reports.values())[:2])) if len(splits) > 1 else []
    if len(splits) > 1:
        print(f"near-duplicates between {splits[0]} and {splits[1]}: {len(pairs) or 'none'}")
        if pairs:
            print(listing([f"{one}  {other}  ({bits} of 128 bits differ)" for one, other, bits in pairs]))
    weights = suggest_weights(reports[splits[0]].frequency)
    print(f"class weights by median frequency in {splits[0]}, if rare classes score low:")
    print(f"losses: {{ce: {{class_weights: {weights}}}}}")

    write_text(output / "inspection.json", json.dumps(as_json(reports, pairs, weights), indent=2) + "\n")
    shares = {split: report.facts.class_share for split, report in reports.items()}
    sizes = {split: report.sizes for split, report in reports.items()}
    draw_overview(output / "overview.png", info.classes, shares, sizes, data.crop)
    usable = list(reports[splits[0]].positions.values())
    chosen = [usable[i] for i in np.linspace(0, len(usable) - 1, min(arguments.samples, len(usable)), dtype=int)]
    rows = sample_rows(source, splits[0], chosen, data, shares[splits[0]])
    names, colors = [*info.classes, "(ignored)"], [*info.colors, IGNORED]
    contact_sheet(output / "samples.png", rows, TITLES, names, colors)
    written = ["inspection.json", "overview.png", "samples.png"]
    if pairs:
        columns = []
        for number, split in enumerate(splits[:2]):
            places = [reports[split].positions[str(pair[number])] for pair in pairs[:MOST_PAIRS]]
            columns.append([shrink(s.image) for s in source.samples(split, places) if not isinstance(s, str)])
        contact_sheet(output / "duplicates.png", [list(row) for row in zip(*columns, strict=True)], splits[:2], [], [])
        written.append("duplicates.png")
    print(f"wrote {', '.join(written)} into {output}")


if __name__ == "__main__":
    run_command(main)
