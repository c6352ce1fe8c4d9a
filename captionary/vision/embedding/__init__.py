"""Region embedding: regions of a picture to unit vectors."""
