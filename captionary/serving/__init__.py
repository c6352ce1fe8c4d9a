"""What the two services share over HTTP: keys, limits, errors, logs, metrics, the running app."""
