"""Image-caption pairs in, a dictionary of word-tagged regions and prototypes out."""
