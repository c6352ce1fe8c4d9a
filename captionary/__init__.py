"""The command line, and the only place that puts everything together."""
