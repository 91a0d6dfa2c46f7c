"""Evaluation of a folder of images from file to confusion matrix, as a PyTorch user would write it."""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

IGNORE = 255


class Images(Dataset):
    """Images and label maps (classes, or 255) of the same names in two folders."""

    def __init__(self, folder: Path, mean, std):
        self.images = sorted((folder / "images").iterdir())
        self.labels = sorted((folder / "labels").iterdir())
        self.mean, self.std = (np.array(values, np.float32) for values in (mean, std))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = cv2.cvtColor(cv2.imread(str(self.images[index])), cv2.COLOR_BGR2RGB)
        image = (image.astype(np.float32) - self.mean) / self.std
        label = cv2.imread(str(self.labels[index]), cv2.IMREAD_UNCHANGED)
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(label.astype(np.int64))


def evaluation(network, folder: Path, data: dict, classes: int, layout):
    """Return a function that scores the whole folder and gives the confusion matrix, and the number of images."""
    images = Images(folder, data["mean"], data["std"])
    # The workers stay between evaluations. OpenCV is kept to one thread in each.
    loader = DataLoader(
        images, num_workers=data["workers"], persistent_workers=True, worker_init_fn=lambda _: cv2.setNumThreads(1)
    )
    network.eval()

    @torch.inference_mode()
    def evaluate():
        matrix = torch.zeros(classes * classes, dtype=torch.int64)
        for image, label in loader:
            prediction = network(image.to(memory_format=layout)).argmax(1)
            valid = label != IGNORE
            matrix += torch.bincount(label[valid] * classes + prediction[valid], minlength=classes**2)
        return matrix.view(classes, classes)

    return evaluate, len(images)
