"""Profile a compiled training step on the CPU."""

import tempfile
import time
from pathlib import Path

from src.errors import UserError
from src.files import check_writable
from src.schema import Config
from src.tools.benchmark.measure import Work
from src.tools.benchmark.timeline import BACKWARD, FORWARD, Rows, attribute, mean, read_launches, shorten, table

WARMUP, STEPS = 2, 2
MOST = 20  # rows of a table


def profile(config: Config, output: Path | None) -> None:
    """Print what a step spends in which module and which operator; draw both as ``profile.png`` into ``output``.

    Gradients are not accumulated: the step is a single one on a part of the batch.

    Raises:
        UserError: the configuration does not run in graph mode on a CPU, or the output cannot be written.
    """
    from src import device
    from src.tools.benchmark.steps import train_step

    if output:
        check_writable(output)
    target = device.setup(config.device.target, config.device.mode, config.device.native)
    if target != "CPU" or config.device.mode != "graph":
        raise UserError(f"profile: {target} in {config.device.mode} mode, expected CPU in graph mode (device.mode)")
    whole = config.train
    batch = {"batch_size": whole.batch_size // whole.accumulate, "accumulate": 1}
    work = train_step(config.model_copy(update={"train": whole.model_copy(update=batch)}))
    begin = time.perf_counter()
    work.step()
    print(f"first call, with compilation: {time.perf_counter() - begin:.1f} s; then {work.what}")
    device.pin_threads()
    tables = {title: shorten(rows, MOST) for title, rows in run(work).items()}
    for title, rows in tables.items():
        print(f"\n{table(title, rows)}")
    if output:
        draw(output / "profile.png", tables)


def run(work: Work) -> dict[str, Rows]:
    """Mean of some steps by module and by operator, under the names of the two tables."""
    from mindspore.profiler import ProfilerActivity, tensorboard_trace_handler
    from mindspore.profiler import profile as profiler

    for _ in range(WARMUP):
        work.step()
    with tempfile.TemporaryDirectory() as folder:
        recorder = profiler(activities=[ProfilerActivity.CPU], on_trace_ready=tensorboard_trace_handler(folder))
        recorder.start()
        times = [time.time_ns()]  # the profiler's clock
        for _ in range(STEPS):
            work.step()
            times.append(time.time_ns())
        recorder.stop()
        launches = read_launches(Path(folder))
    steps = list(zip(times[:-1], times[1:], strict=True))
    keys = {"module": lambda launch: launch.module, "operator": lambda launch: launch.operator}
    return {title: mean([attribute(launches, *step, key) for step in steps]) for title, key in keys.items()}


def draw(path: Path, tables: dict[str, Rows]) -> None:
    """Draw a bar for each row, forward and backward in two colors, and one chart for each table."""
    from src.report.charts import plt, save_figure

    most = max(map(len, tables.values()))
    figure, axes = plt.subplots(1, len(tables), figsize=(7 * len(tables), 1 + 0.3 * most), layout="constrained")
    for axis, (title, rows) in zip(axes, tables.items(), strict=True):
        forward, backward = ([row[side] for row in rows.values()] for side in (FORWARD, BACKWARD))
        axis.barh(list(rows), forward, label="forward")
        axis.barh(list(rows), backward, left=forward, label="backward")
        axis.invert_yaxis()
        axis.set(title=f"a step by {title}", xlabel="ms")
        axis.legend(loc="lower right")
    save_figure(figure, path)
