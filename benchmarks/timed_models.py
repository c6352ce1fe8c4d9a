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
    assert plan.looks is not None
    watched = clock.watch("encoder", encoder)
    maps = plan.embedding.feature_maps(watched)
    looks = plan.looks.build(device=encoder.device.type, precision=encoder.precision)
    cut_by = maps if looks is None or plan.embedding.is_dense else looks.finest
    proposer = plan.proposer.build(watched, cut_by, ClipEncoder)
    looks = None if looks is None else clock.watch("looks", looks)
    embedder = clock.watch("crops, pooling", plan.embedding.embedder(watched, maps))
    return encoder, RegionExtractor(clock.watch("proposer", proposer), embedder, looks)
