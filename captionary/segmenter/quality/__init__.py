"""How good a dictionary is, by its own captions: report, calibration, tags that nothing supports."""
