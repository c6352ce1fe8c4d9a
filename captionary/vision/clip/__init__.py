"""CLIP: finding and loading models, image towers of each kind, texts to vectors."""
