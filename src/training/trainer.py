"""The training loop: steps, logs, evaluation, checkpoints, resuming, and a clean end on Ctrl-C or SIGTERM.

Of several workers each runs this loop on its share of every batch. All see the same numbers, so all take the same
turns; the first alone writes.
"""

import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from mindspore import Tensor
from tqdm import tqdm

from src import device, heartbeat
from src.checkpoint import TRAIN, checksum, load_checkpoint, load_network, load_state, save_checkpoint
from src.data.pipeline import EvalPipeline, TrainPipeline
from src.errors import UserError
from src.inference.evaluator import evaluate
from src.inference.gallery import Gallery
from src.inference.report_file import write_report_file
from src.inference.runner import network_runner
from src.inference.views import together
from src.parallel import rank, sum_counts, wait_for_all, world_size
from src.provenance import commit
from src.report.curves import draw_curves
from src.report.page import write_report
from src.schema import Config
from src.training.compiled_step import reused
from src.training.console import Console
from src.training.feeding import check_sinking, sink
from src.training.interrupt import Interrupt
from src.training.loss_scale import SMALLEST
from src.training.run_folder import RunFolder
from src.training.same_start import check_same_start
from src.training.step_builder import build_step
from src.training.train_step import TrainStep


@dataclass
class Progress:
    """Where the training stands."""

    step: int = 0  # updates done
    best: float | None = None  # highest mIoU so far
    bad_steps: int = 0  # steps in a row whose loss or gradient was not finite
    overflows: int = 0  # updates skipped so far because fp16 overflowed


class Trainer:
    """Trains ``network`` with ``criterion`` and writes everything into ``folder``."""

    def __init__(self, config: Config, network, criterion, metadata, folder: RunFolder):
        train = config.train
        check_sinking(train.sink_size)
        self.config, self.network, self.criterion = config, network, criterion
        self.metadata, self.folder = metadata, folder
        self.micro_batch = train.batch_size // train.accumulate
        self.workers, self.chief = world_size(), rank() == 0
        data, share = config.data, (rank(), self.workers)
        self.data = TrainPipeline(data.records, data.train_split, data, self.micro_batch, train.seed, *share)
        self.step_cell = build_step(config, network, criterion)
        self.average = self.step_cell.average
        self.progress = Progress()
        self.commit = commit()
        self.last_is_good = True  # False: it is damaged and must not take the place of the one before it
        fixed_size = metadata.split(config.data.val_split).size is not None
        self.evaluation = network_runner(
            network, fixed_size, len(metadata.classes), together(config.eval), heartbeat.ticking
        )

    def resume(self, path: Path) -> Path:
        """Continue from a ``last.ckpt``: weights, optimizer, step, data position and best score.

        If the run's own is damaged or missing, the one before it is taken. Returns the file that was taken.
        """
        try:
            checkpoint = load_checkpoint(path)
        except UserError as error:
            if path != self.folder.last or not self.folder.previous.is_file():
                raise
            print(f"{error}\ncontinuing from the one before it, {self.folder.previous}")
            checkpoint = load_checkpoint(self.folder.previous)
            self.last_is_good = False
        if "progress" not in checkpoint.meta:
            raise UserError(f"{path}: holds weights only and cannot be resumed; use a run's checkpoints/last.ckpt")
        load_network(self.network, checkpoint)
        load_state(self.step_cell.state(), checkpoint)
        self.progress = Progress(**checkpoint.meta["progress"])
        return checkpoint.path

    def check_same_start(self) -> None:
        """Compare weights, optimizer and step with the other workers'; all of them call this before `run`.

        Raises:
            UserError: one of them would go on from something else.
        """
        if self.workers > 1:
            tensors = {parameter.name: parameter.asnumpy() for parameter in self.network.get_parameters()}
            tensors |= {TRAIN + parameter.name: parameter.asnumpy() for parameter in self.step_cell.state()}
            check_same_start(self.progress.step, checksum(tensors), self.folder)

    def run(self) -> signal.Signals | None:
        """Train to the last iteration; return the signal that stopped it before, of any worker, or None."""
        train, progress = self.config.train, self.progress
        heartbeat.tick(progress.step)
        if self.chief:
            self.folder.open(self.config, progress.step)
        self.network.set_train(True)
        self.step_cell.keep_network_state()
        batches = self.data.batches(progress.step * train.accumulate)
        sunk = sink(self.step_cell, batches, train.sink_size) if train.sink_size else None
        stopped = False
        with closing(self.folder), Interrupt() as interrupt, Console(progress.step, train.iterations) as console:
            compilation: AbstractContextManager[bool | None] = reused(self.config, self.step_cell)
            while progress.step < train.iterations and not stopped:
                with compilation as found:
                    if found is not None and self.config.device.mode == "graph":
                        console.start(found)
                    result, seconds = self._update(batches, interrupt, sunk)
                compilation = nullcontext()
                stopped = result["stop"] > 0  # known to all workers: none waits for one that has left
                self._check(result)
                step = progress.step
                last = step == train.iterations
                console.advance(seconds, train.batch_size, train.sink_size or 1)
                if step % train.log_every == 0 or last:
                    self._log(result, console)
                score_now = train.eval_every and (step % train.eval_every == 0 or last)
                if score_now:
                    self._evaluate(console)
                if score_now or last or stopped or step % train.checkpoint_every == 0:
                    self._save_last()
        self._finish(stopped, interrupt)
        return (interrupt.signal or signal.SIGTERM) if stopped else None

    def _finish(self, stopped: bool, interrupt: Interrupt) -> None:
        """Draw the curves and say how it ended."""
        heartbeat.tick(busy=True)
        if self.chief:
            metrics = self.folder.read_metrics()
            draw_curves(self.folder.curves, metrics)
            if self.config.report.write and metrics:  # a training stopped before its first line has nothing to show
                print(f"wrote {write_report([self.folder.path], self.folder.report)}")
            if stopped:
                names: dict[int | None, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
                by = names.get(interrupt.signal, "another worker")
                place = f"interrupted at step {self.progress.step} by {by}"
                print(f"{place}; saved {self.folder.last}; the same command continues")
        wait_for_all()  # whoever ends first must not be taken for dead while the first still writes
        heartbeat.finish()

    def _update(self, batches, interrupt: Interrupt, sunk: Callable | None) -> tuple[dict[str, float], float]:
        """One update, or with sinking ``sink_size`` of them; return the numbers of the last and the seconds it took."""
        start = time.perf_counter()
        vectors = [sunk().asnumpy()] if sunk else self._feed(batches, interrupt)
        device.keep_signal_handlers()
        self.progress.step += self.config.train.sink_size or 1
        heartbeat.tick(self.progress.step)
        names = (*TrainStep.RESULT, *self.criterion.part_names)
        result = dict(zip(names, vectors[-1].tolist(), strict=True))
        for name in ("loss", *self.criterion.part_names):
            index = names.index(name)
            result[name] = sum(float(vector[index]) for vector in vectors) / len(vectors)
        if sunk or self.workers == 1:
            result["stop"] = float(sum_counts(np.array([interrupt.signal is not None], np.int64))[0])
        return result, time.perf_counter() - start

    def _feed(self, batches, interrupt: Interrupt) -> list[np.ndarray]:
        """One update from ``accumulate`` batches; return their results."""
        parts = self.config.train.accumulate
        try:
            ready = [next(batches) for _ in range(parts)]  # all, before the first one moves norms and memories
        except UserError:
            if self.progress.step:
                self._save_last()  # damaged data loses nothing that has been trained
            raise
        vectors = []
        for part, (image, label) in enumerate(ready):
            wish = (Tensor(np.float32(interrupt.signal is not None)),) if self.workers > 1 else ()
            vectors.append(self.step_cell(image, label, part == parts - 1, *wish).asnumpy())
            device.keep_signal_handlers()
            heartbeat.tick()
        return vectors

    def _check(self, result: dict[str, float]) -> None:
        """Stop when too many steps in a row were not finite (such a step has changed nothing)."""
        progress = self.progress
        if result["finite"]:
            progress.bad_steps = 0
            return
        if self.step_cell.loss_scale is not None and result["loss_scale"] > SMALLEST:
            progress.overflows += 1
            tqdm.write(
                f"step {progress.step}: fp16 overflow at loss scale {result['loss_scale']:g}: skipped, scale halved"
            )
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

    def _log(self, result: dict[str, float], console: Console) -> None:
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
            "loss_scale": result["loss_scale"],
            "overflows": self.progress.overflows,
        }
        if self.chief:
            self.folder.log(line)
        parts = "".join(f"  {name} {result[name]:.4f}" for name in self.criterion.part_names)
        console.show(f"loss {result['loss']:.4f}{parts}  lr {result['lr']:.2e}  {speed:.1f} images/s")

    def _evaluate(self, console: Console) -> None:
        """Score the validation split with the averaged weights, if they are kept, and keep the best."""
        heartbeat.tick(busy=True)
        if self.average:
            self.average.exchange()
        self._score(console)
        if self.average:
            self.average.exchange()
        heartbeat.tick()

    def _score(self, console: Console) -> None:
        data, progress = self.config.data, self.progress
        samples = EvalPipeline(data.records, data.val_split, data, rank(), self.workers)
        weights = f"step {progress.step}"
        shown = self.chief and self.config.report.write
        gallery = Gallery(len(samples), len(self.metadata.classes), self.config) if shown else None
        result = evaluate(
            self.evaluation, samples, self.metadata.classes, self.config.eval, weights, gallery=gallery
        )  # fmt: skip
        self.network.set_train(True)
        summary = result.scores.summary()
        if self.chief:
            self.folder.log({"step": progress.step, "split": data.val_split, **summary})
        score = summary["mIoU"]
        better = score is not None and (progress.best is None or score > progress.best)
        note = "  best so far" if better else ""
        if score is None:
            note = f"  no labeled pixel in split '{data.val_split}': no score, and best.ckpt stays as it is"
        console.line(f"step {progress.step}: {result.line()} in {result.seconds:.0f} s{note}")
        if better:
            progress.best = score
        if self.chief:
            if better:
                save_checkpoint(self.folder.best, self.network, {**self._meta(), "mIoU": score})
            if gallery and (better or score is None):
                colors = self.metadata.colors
                write_report_file(self.folder.path, result, gallery, self.config, data.val_split, colors)
            draw_curves(self.folder.curves, self.folder.read_metrics())

    def _save_last(self) -> None:
        heartbeat.tick(busy=True)
        if self.chief:
            meta = {**self._meta(), "progress": asdict(self.progress)}
            before = self.folder.previous if self.last_is_good else None
            save_checkpoint(self.folder.last, self.network, meta, self.step_cell.state(), before)
        self.last_is_good = True
        heartbeat.tick()

    def _meta(self) -> dict:
        return {
            "step": self.progress.step,
            "classes": self.metadata.classes,
            "colors": self.metadata.colors,
            "config": self.config.model_dump(),
            "commit": self.commit,
        }
