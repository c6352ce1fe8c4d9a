"""Segmentations as pictures to look at: colours, overlay, legend."""
