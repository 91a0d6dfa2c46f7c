"""The names of every source cover every backbone, one to one, with its shapes."""

import numpy as np
import pytest

from src.weights.convert import convert
from src.weights.options import options_from
from src.weights.rules import find_origin, unfold_order
from src.weights.sources import SOURCES, detect, family
from tests.weights.networks import NETWORKS, shapes_of, stand_ins

SAME_NAMES = {"torchvision", "timm", "mmseg"}  # for a plain ResNet


@pytest.mark.parametrize("network", NETWORKS)
def test_names_map_one_to_one(network):
    source, arch, *variant = network.split("/")
    tensors = stand_ins(NETWORKS[network])
    options = options_from(arch, tensors)
    assert options.get("window", 7) == (12 if "12" in variant else 7)
    assert options.get("deep_stem", False) == ("deep" in variant)
    target = shapes_of(arch, **options)
    values, report = convert(source, arch, tensors, target)

    assert {name: value.shape for name, value in values.items()} == {n: target[n] for n in report.loaded}
    assert report.unused == []
    stage_norms = [f"norm{i}.{end}" for i in range(4) for end in ("gamma", "beta")]
    classifier = family(arch) == "swin" and source != "mmseg" and "backbone" not in variant
    assert report.missing == (stage_norms if classifier else [])
    assert all(".mlp.fc" in line and source == "mmseg" for line in report.reshaped)
    check_used_once(source, arch, tensors, target)


def check_used_once(source, arch, tensors, target):
    """Every tensor goes to one parameter, or its parts to two."""
    inside, _ = SOURCES[source].strip(tensors)
    used = {}
    for origin in filter(None, (SOURCES[source].find(arch, name, inside) for name in target)):
        for piece in origin.names:
            used.setdefault(piece, []).append(origin.part)
    assert all(parts == [None] or sorted(parts) == [(0, 1, 3), (1, 3, 3)] for parts in used.values())


@pytest.mark.parametrize("network", [n for n in NETWORKS if not n.endswith(("b3", "b4", "b5", "101", "152"))])
def test_source_is_recognized(network):
    source, arch, *variant = network.split("/")
    tensors = stand_ins(NETWORKS[network])
    found = detect(arch, tensors, shapes_of(arch, **options_from(arch, tensors)))
    assert found == source or (family(arch) == "resnet" and not variant and {found, source} <= SAME_NAMES)


def test_our_own_names_are_recognized():
    target = shapes_of("mit_b0")
    tensors = stand_ins({f"backbone.{n}": s for n, s in target.items()} | {"decoder.conv.weight": [3, 3]})
    assert detect("mit_b0", tensors, target) == "own"
    _, report = convert("own", "mit_b0", tensors, target)
    assert (report.coverage, report.missing, report.unused) == (1, [], [])


def test_language_of_the_rows():
    rows = [
        ("a{s}.{b}.bn.{norm}", "x.{s-1}.{b+10}.bn.{norm}"),
        ("a{s}.qk.{p}", "x.{s}.q.{p} + x.{s}.k.{p}"),
        ("a{s}.v.{p}", "x.{s}.qkv_{p}[2:3/3]"),
        ("n.{any}", "n.{any}"),
        ("n.gamma", "never"),
    ]
    tensors = {
        "x.0.13.bn.running_var": np.ones(2),
        "x.7.q.weight": np.zeros((1, 2)),
        "x.7.k.weight": np.ones((1, 2)),
        "x.7.qkv_bias": np.arange(6),
        "n.gamma": np.ones(1),
    }
    assert find_origin(rows, "a1.3.bn.moving_variance", tensors).names == ("x.0.13.bn.running_var",)
    np.testing.assert_array_equal(find_origin(rows, "a7.qk.weight", tensors).read(tensors), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(find_origin(rows, "a7.v.bias", tensors).read(tensors), [4, 5])
    assert find_origin(rows, "n.gamma", tensors).names == ("n.gamma",)
    assert find_origin(rows, "a1.3.bn.other", tensors) is None
    assert find_origin(rows, "a7.qk.bias", tensors) is None  # matches, but the tensors are not there


def test_order_of_merged_patches_is_the_inverse_of_openmmlabs():
    """The formulas of mmsegmentation's converter, correct_unfold_reduction_order and correct_unfold_norm_order."""
    original = np.arange(3 * 4 * 5).reshape(3, 20)
    theirs = original.reshape(3, 4, 5)[:, [0, 2, 1, 3], :].transpose(0, 2, 1).reshape(3, 20)
    np.testing.assert_array_equal(unfold_order(theirs), original)
    theirs = original[0].reshape(4, 5)[[0, 2, 1, 3], :].T.reshape(20)
    np.testing.assert_array_equal(unfold_order(theirs), original[0])
