"""The schema of a configuration: every key with its type, default, unit and range.

Loading, layering and error messages are in ``src.config``. An unknown key and a wrong type are errors.
"""

from src.schema.base import Section
from src.schema.data import DataConfig
from src.schema.losses import LossesConfig
from src.schema.model import ModelConfig
from src.schema.training import DeviceConfig, EvalConfig, OptimizerConfig, ScheduleConfig, TrainConfig


class Config(Section):
    """A whole experiment."""

    data: DataConfig
    model: ModelConfig
    losses: LossesConfig = LossesConfig()
    optimizer: OptimizerConfig
    schedule: ScheduleConfig = ScheduleConfig()
    train: TrainConfig
    eval: EvalConfig = EvalConfig()
    device: DeviceConfig = DeviceConfig()
