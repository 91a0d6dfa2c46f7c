"""The backbones equal timm's and transformers', stage by stage, with the same weights."""

import mindspore as ms
import numpy as np
import pytest
from parity import GOLDEN, check

from src.models.backbones import build_backbone

TIMM = {"pad_before_shift": False}  # see the head of swin.py
ALWAYS = {"shift_single_window": True}
CASES = {  # entry of the golden file: backbone, options
    "resnet18": ("resnet18", {}),
    "resnet50": ("resnet50", {}),
    "resnet101": ("resnet101", {}),
    "resnet18_os16": ("resnet18", {"output_stride": 16}),
    "resnet50_deep_os8": ("resnet50", {"output_stride": 8, "deep_stem": True}),
    "efficientnet_lite0": ("efficientnet_lite0", {}),
    "swin_tiny": ("swin_tiny", {}),
    "swin_tiny_timm": ("swin_tiny", TIMM),
    "swin_tiny_mmseg": ("swin_tiny", ALWAYS),
    "swin_base_timm": ("swin_base", TIMM),
    "swin_base_window12": ("swin_base", {"window": 12}),
    "swin_base_window12_timm": ("swin_base", {"window": 12, **TIMM, **ALWAYS}),
    "mit_b0": ("mit_b0", {}),
    "mit_b2": ("mit_b2", {}),
}
SQUARE, ODD = (224, 224), (200, 264)
FAST = [  # in PyNative, which needs no compilation
    ("resnet18", SQUARE),
    ("resnet50", ODD),
    ("resnet101", ODD),
    ("resnet18_os16", ODD),
    ("resnet50_deep_os8", ODD),
    ("efficientnet_lite0", SQUARE),
    ("swin_tiny", SQUARE),
    ("swin_tiny_timm", ODD),
    ("swin_tiny_mmseg", SQUARE),
    ("mit_b0", SQUARE),
]
FAST_GRAPH = ["resnet18", "efficientnet_lite0", "swin_tiny", "mit_b0"]


@pytest.mark.parametrize("case, size", FAST, ids=str)
def test_equals_the_original(case, size):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    name, options = CASES[case]
    check(case, name, build_backbone(name, **options), size)


@pytest.mark.parametrize("case", FAST_GRAPH)
def test_equals_the_original_in_graph_mode(case):
    name, options = CASES[case]
    check(case, name, build_backbone(name, **options), ODD)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_equals_the_original_in_graph_mode_at_both_sizes(case):
    name, options = CASES[case]
    network = build_backbone(name, **options)
    for size in (SQUARE, ODD):
        check(case, name, network, size)


def test_borders_of_windows_matter_in_the_golden_data():
    """The three ways of treating borders differ where windows do not fit, so each is really tested."""
    golden = np.load(GOLDEN / "backbones.npz")

    def apart(first, second, size, stage):
        difference = np.abs(golden[f"{first}/{size}/{stage}"] - golden[f"{second}/{size}/{stage}"])
        return difference.max() > 0.01

    assert not apart("swin_tiny", "swin_tiny_timm", "224x224", 3)
    assert apart("swin_tiny", "swin_tiny_timm", "200x264", 1)
    assert apart("swin_tiny", "swin_tiny_mmseg", "224x224", 3)
