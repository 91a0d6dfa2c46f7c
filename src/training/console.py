"""What training shows on the console."""

import sys

from tqdm import tqdm

from src import device


class Console:
    """A progress bar on a terminal, plain lines elsewhere; measures the speed of the training steps only."""

    def __init__(self, step: int, iterations: int):
        self.bar = tqdm(total=iterations, initial=step, desc="train", unit="step", disable=None)
        self.step, self.iterations = step, iterations
        self.seconds, self.images, self.first = 0.0, 0, True

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()

    def start(self, compiled: bool) -> None:
        """Say what the first step waits for."""
        if compiled:
            self.line("taking the compiled training step of an earlier run")
        else:
            self.line("compiling the training step; this takes a while")

    def advance(self, seconds: float, images: int, steps: int) -> None:
        """Count steps of ``images`` each. The first call, which compiles, does not count toward the speed."""
        self.step += steps
        self.bar.update(steps)
        if self.first:
            self.first = False
            device.pin_threads()
            self.line(f"first step done in {seconds:.1f} s")
        else:
            self.seconds += seconds
            self.images += steps * images

    def images_per_second(self) -> float:
        """Speed since the last call."""
        speed = self.images / self.seconds if self.seconds else 0.0
        self.seconds, self.images = 0.0, 0
        return speed

    def show(self, text: str) -> None:
        """Show the state of the training."""
        if self.bar.disable:
            print(f"step {self.step}/{self.iterations}  {text}", flush=True)
        else:
            self.bar.set_postfix_str(text)

    @staticmethod
    def line(text: str) -> None:
        """Print a permanent line, above the bar if there is one."""
        tqdm.write(text)
        sys.stdout.flush()
