"""How good a dictionary is, by its own captions: a report, weights, unsupported tags."""
