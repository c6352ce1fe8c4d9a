"""Encoder, proposer and embedder under a clock: which share of the time each takes."""

import os

from benchmarks.clock import Clock
from captionary.build import ModelNames, Parts
from captionary.files.cache import VARIABLE
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.extraction import RegionExtractor


def timed_models(models: ModelNames, clock: Clock) -> tuple[ClipEncoder, RegionExtractor]:
    """Load models; returns the encoder, not timed, and an extractor whose parts are."""
    os.environ[VARIABLE] = "off"  # what is cached from an earlier run would take no time
    parts = Parts(None, models)
    encoder, plan = parts.encoder, parts.plan.completed(parts.encoder)
    assert plan.embedding is not None
    assert plan.proposer is not None
    maps = plan.embedding.feature_maps(clock.watch("encoder", encoder))
    proposer = plan.proposer.build(maps, ClipEncoder)
    embedder = clock.watch("crops, pooling", plan.embedding.embedder(maps))
    return encoder, RegionExtractor(clock.watch("proposer", proposer), embedder)
