"""The model behind the page."""

from pathlib import Path

import numpy as np

from src import device
from src.data.transforms import build_transforms
from src.inference.runner import explanation_runner, open_model
from src.schema import Config


class ExploredModel:
    """A checkpoint that gives probabilities and what its decoder has to show."""

    def __init__(self, config: Config, path: Path):
        device.setup(config.device.target, config.device.mode, config.device.native)
        self.name = str(path)
        self.decoder = config.model.decoder.name
        self._transforms = build_transforms(config.data.eval_transforms, config.data, "eval_transforms")
        self._model = open_model(config, path, False)
        self.classes = self._model.classes or []
        self.colors = self._model.colors or []
        self._explain = explanation_runner(self._model.network)

    def probabilities(self, rgb: np.ndarray) -> np.ndarray:
        """RGB uint8 [H, W, 3] -> fp32 [K, H, W]."""
        logits = self._model.run(self._normalized(rgb))[0]
        exponentials = np.exp(logits - logits.max(axis=0))
        return exponentials / exponentials.sum(axis=0)

    def explain(self, rgb: np.ndarray) -> dict[str, np.ndarray]:
        """RGB uint8 [H, W, 3] -> the decoder's arrays by name."""
        return self._explain(self._normalized(rgb))

    def _normalized(self, rgb: np.ndarray) -> np.ndarray:
        return self._transforms(rgb, None, np.random.default_rng(0))[0][None]
