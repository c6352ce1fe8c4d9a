"""Training of models on image-caption pairs alone: one trainer, and what it trains."""
