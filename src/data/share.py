"""A batch divided among the workers."""

from src.errors import UserError


def check_share(images: int, workers: int) -> None:
    """Refuse a batch that the workers cannot divide evenly.

    Args:
        images: number that go through the network at once, over all workers.

    Raises:
        UserError: ``images`` is no multiple of ``workers``.
    """
    if images % workers:
        raise UserError(
            f"train.batch_size: {images} images at a time (batch_size / accumulate) cannot be divided among "
            f"{workers} workers; make them a multiple of {workers}"
        )
