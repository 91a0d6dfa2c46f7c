"""The schema of a configuration: every key with its type, default, unit and range.

It is the one owner of options: docs/configuration.md and config/schema.json are made from it, files are checked by it
(``src.config``), and so are the arguments of ``build_backbone`` and ``build_decoder`` (``src.schema.options``). An
unknown key and a wrong type are errors (``src.schema.messages``).
"""

from src.schema.base import Section
from src.schema.data import DataConfig
from src.schema.losses import LossesConfig
from src.schema.model import ModelConfig
from src.schema.report import ReportConfig
from src.schema.training import DeviceConfig, EvalConfig, OptimizerConfig, ScheduleConfig, TrainConfig


class Config(Section):
    """A whole experiment."""

    data: DataConfig
    model: ModelConfig
    losses: LossesConfig = LossesConfig()
    optimizer: OptimizerConfig
    """How the weights follow the gradient."""
    schedule: ScheduleConfig = ScheduleConfig()
    train: TrainConfig
    eval: EvalConfig = EvalConfig()
    report: ReportConfig = ReportConfig()
    device: DeviceConfig = DeviceConfig()
