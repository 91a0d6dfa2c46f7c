"""The training loop: steps, logs, evaluation, checkpoints, resuming, and a clean end on Ctrl-C."""

import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from src import device
from src.data.pipeline import EvalPipeline, TrainPipeline
from src.engine.checkpoint import load_checkpoint, load_network, load_state, save_checkpoint
from src.engine.evaluator import evaluate
from src.engine.optimizer import build_optimizer
from src.engine.run_folder import RunFolder
from src.engine.runner import network_runner
from src.engine.schedule import learning_rates
from src.engine.train_step import TrainStep
from src.errors import UserError
from src.schema import Config
from src.visualize import draw_curves

INTERRUPTED = 130  # the shell's status for Ctrl-C; a script that calls train.py stops as well


@dataclass
class Progress:
    """Where the training stands."""

    step: int = 0  # updates done
    best: float | None = None  # highest mIoU so far
    bad_steps: int = 0  # steps in a row whose loss or gradient was not finite


class Trainer:
    """Trains ``network`` with ``criterion`` and writes everything into ``folder``."""

    def __init__(self, config: Config, network, criterion, metadata, folder: RunFolder):
        train = config.train
        self.config, self.network, self.criterion = config, network, criterion
        self.metadata, self.folder = metadata, folder
        self.micro_batch = train.batch_size // train.accumulate
        self.data = TrainPipeline(
            config.data.records, config.data.train_split, config.data, self.micro_batch, train.seed
        )
        weights = list(network.trainable_params())
        rates = learning_rates(config.schedule, config.optimizer.lr, train.iterations)
        self.optimizer = build_optimizer(config.optimizer, weights)
        self.step_cell = TrainStep(
            network,
            criterion,
            self.optimizer,
            rates,
            train.clip_norm,
            train.accumulate,
            train.max_bad_steps > 0,
        )
        self.progress = Progress()
        self.evaluation = network_runner(network, fixed_size=metadata.split(config.data.val_split).size is not None)

    def resume(self, path: Path) -> None:
        """Continue from a ``last.ckpt``: weights, optimizer, step, data position and best score."""
        checkpoint = load_checkpoint(path)
        if "progress" not in checkpoint.meta:
            raise UserError(f"{path}: holds weights only and cannot be resumed; use a run's checkpoints/last.ckpt")
        load_network(self.network, checkpoint)
        load_state(self.step_cell.state(), checkpoint)
        self.progress = Progress(**checkpoint.meta["progress"])

    def run(self) -> int:
        """Train to the last iteration; return the exit status (0, or 130 after Ctrl-C)."""
        train, progress = self.config.train, self.progress
        self.folder.open(self.config, progress.step)
        self.network.set_train(True)
        self.step_cell.keep_network_state()
        batches = self.data.batches(progress.step * train.accumulate)
        with _CtrlC() as ctrl_c, _Console(progress.step, train.iterations) as console:
            while progress.step < train.iterations and not ctrl_c.pressed:
                result, seconds = self._update(batches)
                self._check(result)
                step = progress.step
                last = step == train.iterations
                console.advance(seconds, train.batch_size)
                if step % train.log_every == 0 or last:
                    self._log(result, console)
                score_now = train.eval_every and (step % train.eval_every == 0 or last)
                if score_now:
                    self._evaluate(console)
                if score_now or last or step % train.checkpoint_every == 0:
                    self._save_last()
        if ctrl_c.pressed:
            self._save_last()
            print(f"interrupted at step {progress.step}; saved {self.folder.last}; the same command continues")
        draw_curves(self.folder.curves, self.folder.read_metrics())
        self.folder.close()
        return INTERRUPTED if ctrl_c.pressed else 0

    def _update(self, batches) -> tuple[dict[str, float], float]:
        """One update from ``accumulate`` batches; return its numbers and the seconds it took."""
        start = time.perf_counter()
        parts = self.config.train.accumulate
        vectors = []
        for part in range(parts):
            try:
                image, label = next(batches)
            except UserError:
                if self.progress.step:
                    self._save_last()  # damaged data loses nothing that has been trained
                raise
            vectors.append(self.step_cell(image, label, part == parts - 1).asnumpy())
            device.keep_signal_handlers()
        self.progress.step += 1
        names = (*TrainStep.RESULT, *self.criterion.part_names)
        result = dict(zip(names, vectors[-1].tolist(), strict=True))
        for name in ("loss", *self.criterion.part_names):
            index = names.index(name)
            result[name] = sum(float(vector[index]) for vector in vectors) / parts
        return result, time.perf_counter() - start

    def _check(self, result: dict[str, float]) -> None:
        """Stop when too many steps in a row were not finite (such a step has changed nothing)."""
        progress = self.progress
        if result["finite"]:
            progress.bad_steps = 0
            return
        progress.bad_steps += 1
        values = ", ".join(f"{name} = {result[name]:.4g}" for name in ("loss", *self.criterion.part_names))
        words = f"step {progress.step}: loss or gradient is not finite ({values}, |g| = {result['grad_norm']:.4g})"
        if progress.bad_steps > self.config.train.max_bad_steps:
            kept = f"; last good checkpoint: {self.folder.last}" if self.folder.last.exists() else ""
            raise UserError(
                f"{words}, {progress.bad_steps} in a row where train.max_bad_steps is "
                f"{self.config.train.max_bad_steps}{kept}; lower optimizer.lr, set train.clip_norm, or check the data"
            )
        tqdm.write(f"{words}: skipped")

    def _log(self, result: dict[str, float], console: "_Console") -> None:
        step = self.progress.step
        speed = console.images_per_second()
        line = {
            "step": step,
            "epoch": step * self.config.train.accumulate / self.data.steps_per_epoch,
            "loss": result["loss"],
            **{name: result[name] for name in self.criterion.part_names},
            "lr": result["lr"],
            "grad_norm": result["grad_norm"],
            "images_per_second": round(speed, 2),
            "loss_scale": 1.0,
        }
        self.folder.log(line)
        parts = "".join(f"  {name} {result[name]:.4f}" for name in self.criterion.part_names)
        console.show(f"loss {result['loss']:.4f}{parts}  lr {result['lr']:.2e}  {speed:.1f} images/s")

    def _evaluate(self, console: "_Console") -> None:
        """Score the validation split; keep the best weights."""
        data, progress = self.config.data, self.progress
        samples = EvalPipeline(data.records, data.val_split, data)
        weights = f"step {progress.step}"
        result = evaluate(self.evaluation, samples, self.metadata.classes, self.config.eval, weights)
        self.network.set_train(True)
        summary = result.scores.summary()
        self.folder.log({"step": progress.step, "split": data.val_split, **summary})
        score = summary["mIoU"]
        better = score is not None and (progress.best is None or score > progress.best)
        console.line(
            f"step {progress.step}: mIoU {score:.2f}  aAcc {summary['aAcc']:.2f}  mAcc {summary['mAcc']:.2f}  "
            f"({result.images} images, {result.protocol['mode']}, {result.seconds:.0f} s)"
            f"{'  best so far' if better else ''}"
        )
        state = self.network.report()
        if state:
            console.line(state)
        if better:
            progress.best = score
            save_checkpoint(self.folder.best, self.network, {**self._meta(), "mIoU": score})
        draw_curves(self.folder.curves, self.folder.read_metrics())

    def _save_last(self) -> None:
        meta = {**self._meta(), "progress": asdict(self.progress)}
        save_checkpoint(self.folder.last, self.network, meta, self.step_cell.state())

    def _meta(self) -> dict:
        return {"step": self.progress.step, "classes": self.metadata.classes, "colors": self.metadata.colors}


class _CtrlC:
    """Turns the first Ctrl-C into a flag, so that the step in hand is finished; a second one stops at once."""

    def __enter__(self) -> "_CtrlC":
        self.pressed = False
        self.before = signal.signal(signal.SIGINT, self._press)
        return self

    def _press(self, *_) -> None:
        self.pressed = True
        signal.signal(signal.SIGINT, self.before)
        tqdm.write("Ctrl-C: finishing this step, then saving (again to stop without saving)")

    def __exit__(self, *_) -> None:
        signal.signal(signal.SIGINT, self.before)


class _Console:
    """A progress bar on a terminal, plain lines elsewhere; measures the speed of the steps alone."""

    def __init__(self, step: int, iterations: int):
        self.bar = tqdm(total=iterations, initial=step, desc="train", unit="step", disable=None)
        self.step, self.iterations = step, iterations
        self.seconds, self.images, self.first = 0.0, 0, True

    def __enter__(self) -> "_Console":
        self.line("compiling the training step; this takes a while")
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()

    def advance(self, seconds: float, images: int) -> None:
        """Count a step. The first one, which compiles, is left out of the speed."""
        self.step += 1
        self.bar.update()
        if self.first:
            self.first = False
            device.pin_threads()
            self.line(f"compiled and first step done in {seconds:.1f} s")
        else:
            self.seconds += seconds
            self.images += images

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
        """Print a line that stays, above the bar if there is one."""
        tqdm.write(text)
        sys.stdout.flush()
