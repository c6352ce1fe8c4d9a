"""The protocol of proposers, which cut pictures into candidate regions."""

from typing import Protocol

from captionary.schemas.regions import Region
from captionary.vision.pictures.loading import LoadedPicture


class RegionProposer(Protocol):
    """Cuts a picture into candidate regions: at least one, and always the same."""

    @property
    def fingerprint(self) -> str:
        """Names everything that its regions depend on."""
        ...

    def propose(self, picture: LoadedPicture) -> list[Region]:
        """Cut one picture."""
        ...
