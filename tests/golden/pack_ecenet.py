"""Bring the numbers of the authors' ECENet release into the suite: python tests/golden/pack_ecenet.py FOLDER

FOLDER holds ecenet_head_{eval,intermediates,odd_sizes,train}.npz, made by the release with random weights. What
several of them share is kept once, and of the intermediates only what `src.models.decoders.ecenet` also has. Not
needed to run the suite.
"""

import sys
from pathlib import Path

import numpy as np

# levels' laterals, first mask, embeddings, features and affinities of the attention, fused map, class scores
INTERMEDIATES = ("laterals.", "learner", "gated_tokens.", "transfer.", "proj", "trans")
TARGET = Path(__file__).parent / "ecenet.npz"


def main(folder: Path) -> None:
    """Write ``ecenet.npz``."""
    kept: dict[str, np.ndarray] = {}
    for part in ("eval", "odd_sizes", "train", "intermediates"):
        for name, values in np.load(folder / f"ecenet_head_{part}.npz").items():
            if part == "intermediates":
                middle = name.removeprefix("mid/")
                if not middle.startswith(INTERMEDIATES) or "cross_attn" in middle or ".mlp" in middle:
                    continue
            elif name.startswith("w/") or name.endswith("num_batches_tracked"):
                if part == "eval":
                    kept[name] = values
                elif name in kept and not np.array_equal(kept[name], values):
                    raise SystemExit(f"{name} differs between the files")
                continue
            kept[f"{part}/{name}"] = values
    np.savez_compressed(TARGET, **kept)
    print(f"{TARGET}: {len(kept)} arrays, {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
