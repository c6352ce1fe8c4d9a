"""What looks at pictures, under a clock: which share of the time each part takes."""

from benchmarks.clock import Clock
from captionary.build import Models
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.embedding.views import choose_embedding
from captionary.vision.extraction import RegionExtractor
from captionary.vision.proposers.choice import choose_proposer


def watched(models: Models, clock: Clock) -> tuple[ClipEncoder, RegionExtractor]:
    """The encoder, not watched, and an extractor like that of `models`, whose parts are."""
    encoder, _ = models.load()
    names = models.names(encoder)
    embedding = choose_embedding(names["embed"])
    maps = embedding.maps(clock.watch("encoder", encoder))
    proposer = choose_proposer(names["proposer"])(maps)
    embedder = clock.watch("crops, pooling", embedding.embedder(maps))
    return encoder, RegionExtractor(clock.watch("proposer", proposer), embedder)
