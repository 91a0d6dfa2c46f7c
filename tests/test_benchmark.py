"""The tables of ``benchmark compare`` and ``benchmark profile``, and what both refuse."""

import pytest
import yaml

from src.config import load_config
from src.errors import UserError
from src.tools.benchmark import compare, timeline, twin
from src.tools.benchmark.profile import run
from src.tools.benchmark.steps import train_step
from src.tools.benchmark.timeline import IDLE, Launch, attribute
from tests.commands import run_inside
from tests.conftest import SMALL


def figures(seconds, memory, parameters=10):
    return {
        "median_seconds": seconds, "images_per_second": 8 / seconds, "peak_memory_gib": memory, "parameters": parameters
    }  # fmt: skip


def test_the_table_has_medians_ratios_and_the_largest_memory():
    sides = {
        "ours": [figures(1.0, 2.0), figures(3.0, 2.5)],
        "torch": [figures(4.0, 1.0)] * 2,
        "tuned": [figures(1.0, 1.5)] * 2,
    }
    _, step, evaluated = compare.table({"fpn-resnet18": sides, "eval-camvid": sides}).splitlines()
    assert step.split() == ["fpn-resnet18", "s/step", "2.000", "4.000", "1.000", "0.50", "2.00", "2.50", "1.00", "1.50"]
    assert evaluated.split()[1:5] == ["images/s", "5.333", "2.000", "8.000"]


def test_networks_that_differ_are_refused():
    results = {"ours": [figures(1, 1)], "torch": [figures(1, 1, 11)], "tuned": []}
    with pytest.raises(UserError, match="fpn: the numbers of parameters differ .ours 10, torch 11."):
        compare.check_parameters("fpn", results)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["compare", "fpn-resnet18", "--rounds", "0"], "--rounds: found 0, expected at least 1"),
        (["compare", "fpn-resnet18"], "nowhere: not found; the PyTorch twins need an environment"),
        (["compare", "fpn"], "invalid choice: 'fpn'"),
    ],
)
def test_bad_arguments_end_with_status_2(arguments, message, monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(twin, "PYTHON", tmp_path / "nowhere")
    assert run_inside(monkeypatch, "src.tools.benchmark", *arguments) == 2
    assert message in capfd.readouterr().err


def test_instants_are_divided_among_running_operators():
    ms = 1e6
    launches = [
        Launch("Default/net-Net/a-Conv/Custom-op0", 0, 4 * ms),
        Launch("Default/net-Net/Add-op1", 2 * ms, 6 * ms),
        Launch("Default/losses-CellList/Sum-op0", 6 * ms, 7 * ms),
        Launch("Gradients/Default/net-Net/a-Conv/Grad_Mul/Mul-op0", 8 * ms, 9 * ms),
    ]
    rows = attribute(launches, 0, 10 * ms, lambda launch: launch.module)
    assert rows == {"net.a": (3, 1), "net": (3, 0), "losses": (1, 0), IDLE: (0, 2)}
    assert [launch.operator for launch in launches] == ["native Conv", "Add", "Sum", "Mul"]


def test_the_profile_of_a_step_has_both_directions(tmp_path):
    content = {**SMALL, "data": {**SMALL["data"], "records": "none", "crop": [32, 32]}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    tables = run(train_step(load_config(tmp_path / "config.yaml")))
    wholes = [sum(map(sum, rows.values())) for rows in tables.values()]
    assert wholes[0] == pytest.approx(wholes[1])
    assert tables["module"][IDLE] != (0, 0)
    assert min(tables["module"]["backbone.layer1"]) > 0
    assert timeline.table("module", tables["module"]).splitlines()[-1].split()[-1] == "100.0"
