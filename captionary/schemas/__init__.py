"""Data types that indexer, segmenter, services and clients share. No torch, no Qdrant.

`bodies`, `errors` and `options`, which the HTTP client imports, need pydantic alone.
"""
