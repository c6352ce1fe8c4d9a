"""Ground-truth masks of a dataset: what their values mean, which can be used."""
