"""The nouns that a region carries: two aligned lists in its payload, sorted by noun."""

from captionary.vocabulary.engines.engine import Payload
from captionary.vocabulary.points import single


def tags_of(payload: Payload) -> dict[str, float]:
    """The nouns of a region's payload, with their similarities (of float32 precision)."""
    pairs = zip(payload["noun"], payload["similarity"], strict=True)
    return {str(noun): single(similarity) for noun, similarity in pairs}


def tags_payload(tags: dict[str, float]) -> Payload:
    """The payload part of tags; sorted, so that the order of tagging leaves no trace."""
    nouns = sorted(tags)
    return {"noun": nouns, "similarity": [single(tags[noun]) for noun in nouns]}


def retagged(tags: dict[str, float], noun: str, similarity: float | None) -> dict[str, float]:
    """Tags with one noun set, or without it where similarity is None."""
    others = {other: value for other, value in tags.items() if other != noun}
    return others if similarity is None else {**others, noun: single(similarity)}
