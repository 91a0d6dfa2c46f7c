"""What is measured over a data set: the only confusion matrix, the only mIoU, and the separability of features.

Inference and the tools import it; it needs arrays alone, never a network.
"""

from src.metrics.confusion_matrix import ConfusionMatrix, Scores

__all__ = ["ConfusionMatrix", "Scores"]
