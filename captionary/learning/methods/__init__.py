"""What can be trained: CLIP, PGSeg, ViL-Seg, with their losses."""
