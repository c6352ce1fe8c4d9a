"""Picture -> regions -> embeddings, and text -> embeddings (CLIP)."""
