"""CPT as a decoder, in its variants."""

import numpy as np
import pytest

from src.errors import UserError
from src.models.decoders import build_decoder
from tests.models.decoders import cpt_reference
from tests.models.decoders.base import CHANNELS, CLASSES, DecoderTester

SMALL = {"channels": 8, "heads": 2, "mlp_ratio": 2}


class CPTTester(DecoderTester):
    name = "cpt"
    reference: dict = {}

    def expected_extras(self, maps):
        return [(2, CLASSES, *maps[level + 1].shape[2:]) for level in range(2, self.level - 1, -1)]

    def expected_logits(self, parameters, maps):
        return cpt_reference.decoder(maps, parameters, heads=2, output_level=self.level, **self.reference)


class TestCPT(CPTTester):
    options = SMALL


class TestSoftWithoutMemoryFinestOnly(CPTTester):
    options = {**SMALL, "assignment": "soft", "memory": False, "fusion": "last"}
    reference = {"assignment": "soft", "fusion": "last"}


class TestPixelsAtStride8(CPTTester):
    options = {**SMALL, "source": "pixels", "output_level": 1}
    reference = {"pixels": True}
    level = 1


class TestStride32(CPTTester):
    options = {**SMALL, "output_level": 3}
    level = 3
