"""Run one job of a PyTorch twin: ``python run.py JOB.json``. ``src.tools.benchmark compare`` writes the job.

A job has ``part`` (train-step, infer, eval or check), ``config`` (a resolved configuration of the project),
``classes``, ``tuned``, and by part ``warmup`` and ``steps``, ``size`` (of infer: height and width of the one image),
``folder`` (of eval: images and labels) or ``weights`` (of check: a NumPy file with values by parameter name). The
result is printed as one line of JSON.

``tuned`` is channels-last order and AdamW in one kernel; the caller sets the allocator in the environment.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from twins.evaluation import evaluation
from twins.losses import Criterion
from twins.network import build_network
from twins.training import build_step


def batch(config, classes, layout):
    """The batch of the project's own benchmark."""
    random = np.random.default_rng(0)
    shape = (config["train"]["batch_size"], *config["data"]["crop"])
    image = random.standard_normal((shape[0], 3, *shape[1:]), dtype=np.float32)
    label = random.integers(0, classes, (shape[0], -(-shape[1] // 32), -(-shape[2] // 32)))
    label = np.ascontiguousarray(label.repeat(32, 1).repeat(32, 2)[:, : shape[1], : shape[2]])
    return torch.from_numpy(image).to(memory_format=layout), torch.from_numpy(label)


def measure(step, images, warmup, steps):
    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    for _ in range(warmup):
        step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    return {
        "first_seconds": first,
        "median_seconds": median,
        "images_per_second": images / median,
        "peak_memory_gib": peak_memory(),
        "seconds": seconds,
    }


def peak_memory():
    """Largest resident memory of this process so far, in GiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def size(network, image):
    """Trained parameters, and multiply-adds for one image in evaluation."""
    network.eval()
    # The counter does not know the fused attention of the CPU.
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(image[:1])
    network.train()
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "multiply_adds": counter.get_total_flops() // 2,
    }


def check(network, criterion, image, label, file):
    """Losses and norm of the gradient for given weights."""
    with np.load(file) as values:
        state = {name: torch.from_numpy(values[name]) for name in values.files}
    missing = network.load_state_dict(state, strict=False)
    wrong = missing.unexpected_keys + [k for k in missing.missing_keys if not k.endswith("num_batches_tracked")]
    if wrong:
        raise SystemExit(f"parameters differ: {', '.join(wrong)}")
    total, parts = criterion(network(image), label)
    total.backward()
    gradients = {name: p.grad.norm().item() for name, p in network.named_parameters()}
    return {"total": total.item(), "parts": {k: v.item() for k, v in parts.items()}, "gradients": gradients}


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    config, classes = job["config"], job["classes"]
    layout = torch.channels_last if job["tuned"] else torch.contiguous_format
    torch.manual_seed(0)
    network = build_network(config["model"], classes).to(memory_format=layout).train()
    if job["part"] == "infer":
        image = torch.zeros((1, 3, *job["size"])).to(memory_format=layout)
        result = size(network, image)
        network.eval()
        with torch.inference_mode():
            result |= measure(lambda: network(image), 1, job["warmup"], job["steps"])
    elif job["part"] == "eval":
        result = size(network, torch.zeros((1, 3, *config["data"]["crop"])))
        step, images = evaluation(network, Path(job["folder"]), config["data"], classes, layout)
        result |= measure(step, images, job["warmup"], job["steps"])
    else:
        image, label = batch(config, classes, layout)
        criterion = Criterion(config["losses"], classes)
        result = size(network, image)
        if job["part"] == "check":
            result |= check(network, criterion, image, label, job["weights"])
        else:
            step = build_step(network, criterion, config, fused=job["tuned"])
            result |= measure(lambda: step(image, label), len(image), job["warmup"], job["steps"])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
