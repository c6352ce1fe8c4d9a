"""Dataset folders with ground-truth masks: what their values mean, which can be used."""
