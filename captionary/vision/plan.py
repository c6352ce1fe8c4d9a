"""The plan of a dictionary: which encoder, proposer, embedding and look model, how precisely.

It is parsed once, from what a user names and what a store remembers, completed when the encoder is
loaded (how to cut and to embed depends on what that can do), and written to the store as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from captionary.vision.clip.catalogue import DEFAULT_ENCODER
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.embedding.views import Embedding, default_embedding, parse_embedding
from captionary.vision.extraction import RegionExtractor
from captionary.vision.looks.plan import NONE, LooksPlan, default_looks, parse_looks
from captionary.vision.proposers.plan import (
    LoadEncoder,
    ProposerPlan,
    absolute_name,
    default_proposer,
    parse_proposer,
)

NOTHING_STORED: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Plan:
    """How pictures become regions with vectors.

    encoder:   its name, as `ClipEncoder` takes it.
    precision: auto, float32 or bfloat16.
    proposer, embedding, looks: None: what suits the encoder best.
    """

    encoder: str = DEFAULT_ENCODER
    precision: str = "auto"
    proposer: ProposerPlan | None = None
    embedding: Embedding | None = None
    looks: LooksPlan | None = None

    @classmethod
    def parse(
        cls,
        encoder: str | None = None,
        proposer: str | None = None,
        embed: str | None = None,
        looks: str | None = None,
        precision: str | None = None,
        *,
        stored: Mapping[str, str] = NOTHING_STORED,
    ) -> "Plan":
        """Parse what a user names; None: as stored, or else the default.

        Args:
            stored: what `names` wrote into a store.

        Raises:
            WrongInput: a name is unknown, or a folder or model that it needs is missing.
            MissingExtra: a proposer needs a package that is not installed.
        """
        # What the user names comes first; whether the store fits is checked by its fingerprint.
        embed = stored.get("embed") if embed is None else embed
        proposer = stored.get("proposer") if proposer is None else proposer
        # A store that names models but no looks is older than these, and has none.
        looks = stored.get("looks", NONE if stored else None) if looks is None else looks
        return cls(
            encoder=encoder or stored.get("encoder", DEFAULT_ENCODER),
            precision=precision or stored.get("precision", "auto"),
            embedding=None if embed is None else parse_embedding(embed),
            proposer=None if proposer is None else parse_proposer(proposer),
            looks=None if looks is None else parse_looks(looks),
        )

    def completed(self, encoder: ClipEncoder) -> "Plan":
        """The plan with everything that was left to the encoder.

        Raises:
            WrongInput: the encoder's folder names an embedding that there is not.
        """
        return replace(
            self,
            precision=encoder.precision,
            proposer=self.proposer or default_proposer(encoder),
            embedding=self.embedding or default_embedding(encoder),
            looks=default_looks(encoder) if self.looks is None else self.looks,
        )

    @property
    def names(self) -> dict[str, str]:
        """What a store is to remember of a completed plan; folders by their full paths."""
        if self.proposer is None or self.embedding is None or self.looks is None:
            raise ValueError("only a completed plan has names")
        return {
            "encoder": absolute_name(self.encoder),
            "proposer": str(self.proposer),
            "embed": self.embedding.text,
            "looks": str(self.looks),
            "precision": self.precision,
        }

    def extractor(self, encoder: ClipEncoder, load_encoder: LoadEncoder) -> RegionExtractor:
        """Build what cuts and embeds pictures.

        Args:
            encoder:      the plan's.
            load_encoder: for a proposer that needs another one.

        Raises:
            WrongInput: the encoder cannot cut or embed that way.
        """
        plan = self.completed(encoder)
        assert plan.proposer is not None
        assert plan.embedding is not None
        assert plan.looks is not None
        looks = plan.looks.build(device=encoder.device.type, precision=encoder.precision)
        # Made first, for both: a proposer and an embedder with the same maps share a forward pass.
        maps = plan.embedding.feature_maps(encoder)
        embedder = plan.embedding.embedder(encoder, maps)
        # An encoder that has no maps of its own to embed by has none that are good to cut by.
        cut_by = maps if looks is None or plan.embedding.is_dense else looks.finest
        return RegionExtractor(plan.proposer.build(encoder, cut_by, load_encoder), embedder, looks)
