"""Name tables by architecture family and source; the language of the rows is described in ``src.weights.rules``."""
