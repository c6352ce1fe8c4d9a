"""Grouping patches: spherical EM, PGSeg's tower, ViL-Seg's cluster head."""
