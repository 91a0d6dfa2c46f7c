"""The training step, as a PyTorch user would write it."""

import torch
from torch import nn


def parameter_groups(network: nn.Module, config: dict) -> list[dict]:
    """No decay of norms, biases and position tables; the decoder may have a rate and a decay of its own."""
    groups = {}
    for name, parameter in network.named_parameters():
        backbone = name.startswith("backbone.")
        own = config["decoder_weight_decay"]
        decay = config["weight_decay"] if backbone or own is None else own
        if parameter.ndim <= 1 or "position" in name:
            decay = 0.0
        rate = config["lr"] * (1.0 if backbone else config["decoder_lr_multiplier"])
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": group, "lr": rate, "weight_decay": decay} for (rate, decay), group in groups.items()]


def build_step(network: nn.Module, criterion: nn.Module, config: dict, fused: bool):
    """Return ``step(image, label)``, which updates the network and returns the loss; the rate stays constant.

    Args:
        config: a whole configuration as a dictionary; the optimizer must be AdamW.
        fused: AdamW in one kernel, which is not PyTorch's default on a CPU.
    """
    optimizer = config["optimizer"]
    optimizer = torch.optim.AdamW(
        parameter_groups(network, optimizer), betas=optimizer["betas"], eps=optimizer["eps"], fused=fused or None
    )
    clip = config["train"]["clip_norm"]

    def step(image, label):
        optimizer.zero_grad()
        total, _ = criterion(network(image), label)
        total.backward()
        if clip:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        return total.item()

    return step
