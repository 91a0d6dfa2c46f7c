"""Bring the numbers of a public CPT implementation into the suite: python tests/golden/pack_cpt.py FOLDER

FOLDER holds cpt_head_{eval,odd_sizes,train}.npz, computed from a rewrite of that implementation with random weights.
What follows from other numbers in it is left out. Not needed to run the suite.
"""

import sys
from pathlib import Path

import numpy as np

LEFT_OUT = ("mid/lateral", "mid/block", "out/ce_all")  # the maps O_i (mid/fpn) depend on these two
TARGET = Path(__file__).parent / "cpt.npz"


def main(folder: Path) -> None:
    """Write ``cpt.npz``."""
    kept: dict[str, np.ndarray] = {}
    for part in ("eval", "odd_sizes", "train"):
        for name, values in np.load(folder / f"cpt_head_{part}.npz").items():
            if not name.startswith(LEFT_OUT):
                kept[name if name.startswith("w/") else f"{part}/{name}"] = values
    np.savez_compressed(TARGET, **kept)
    print(f"{TARGET}: {len(kept)} arrays, {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
