"""Models that learn to group patches: spherical EM, PGSeg's tower, ViL-Seg's cluster head."""
