"""Models to train: architectures, their vocabulary of byte pairs, built and written."""
