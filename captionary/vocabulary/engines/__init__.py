"""Where the points of a dictionary are kept: an embedded engine, a Qdrant server."""
