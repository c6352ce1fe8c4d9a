"""Settings of the services, read once from environment variables CAPTIONARY_<NAME>."""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from captionary.schemas.errors import WrongInput
from captionary.serving.addresses import check_address, check_origin, check_root_path
from captionary.serving.api_keys import Keys
from captionary.serving.limits import Limits

PREFIX = "CAPTIONARY_"

SIMILAR = 0.85
"""How similar a variable's name and a setting's are when one is a typo of the other, in [0, 1]."""

CommaSeparated = Annotated[tuple[str, ...], NoDecode]
"""Several values in one variable, with commas between."""


class ServeSettings(BaseSettings):
    """Settings of the services; docs/operating.md has the table for operators.

    read_keys, write_keys: API keys; a key that may write may also read.
    body_mb:      megabytes of a request, at most.
    megapixels:   of a picture, at most.
    classes:      class names of a request, at most.
    pairs:        captioned pictures of a request, at most.
    workers:      requests segmented at a time, and pictures indexed at a time; 0: one a core.
    waiting:      requests that may wait to be segmented.
    allowed_urls: where pictures may be fetched from, as in https://example.org/photos/.
    origins:      cross-origin web pages that may call the service from a browser.
    indexer_url:  where the segmenter's page sends captioned pictures, if that is another service.
    root_path:    path under which a proxy shows the service, as in /captionary.
    """

    # Unknown variables are ignored: the store has settings of the same prefix. Typos among them are
    # found by `read_settings`.
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    read_keys: CommaSeparated = Field(default=(), repr=False)
    write_keys: CommaSeparated = Field(default=(), repr=False)
    body_mb: int = Field(default=32, ge=1)
    megapixels: float = Field(default=50, gt=0)
    classes: int = Field(default=500, ge=1)
    pairs: int = Field(default=1000, ge=1)
    workers: int = Field(default=0, ge=0)
    waiting: int = Field(default=16, ge=0)
    allowed_urls: CommaSeparated = ()
    origins: CommaSeparated = ()
    indexer_url: str | None = None
    root_path: str | None = None

    @field_validator("read_keys", "write_keys", "allowed_urls", "origins", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("origins")
    @classmethod
    def _check_origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            check_origin(value)
        return values

    @field_validator("indexer_url")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        return check_address(value) if value else None

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, value: str | None) -> str | None:
        return check_root_path(value) if value else None

    @property
    def keys(self) -> Keys:
        """The API keys.

        Raises:
            WrongInput: a key is too short, or cannot be sent.
        """
        return Keys(self.read_keys, self.write_keys)

    @property
    def limits(self) -> Limits:
        """What one request may bring."""
        return Limits(
            body=self.body_mb << 20,
            pixels=round(self.megapixels * 1e6),
            classes=self.classes,
            pairs=self.pairs,
        )

    @property
    def concurrency(self) -> int:
        """Pictures worked on at a time: `workers`, or one a core."""
        return self.workers or os.cpu_count() or 1


def read_settings(*, root_path: str | None = None) -> ServeSettings:
    """Read the settings of this process.

    root_path: instead of the variable's, where it is given.

    Raises:
        WrongInput: a variable has a wrong value, or its name is a typo of a setting's.
    """
    known = {name.upper() for name in ServeSettings.model_fields}
    for variable in os.environ:
        name = variable.removeprefix(PREFIX)
        if name != variable and name not in known:
            _check_spelling(variable, get_close_matches(name, known, cutoff=SIMILAR))
    try:
        return ServeSettings() if root_path is None else ServeSettings(root_path=root_path)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        # A key that was refused must not appear in a log.
        value = "" if "key" in field else f" {first['input']!r}"
        # Our own checks name the one of several values that is wrong.
        reason = first.get("ctx", {}).get("error", f"cannot be{value}: {first['msg']}")
        raise WrongInput(f"{PREFIX}{field.upper()} {reason}; see docs/operating.md") from error


def _check_spelling(variable: str, similar: Sequence[str]) -> None:
    if similar:
        raise WrongInput(f"{variable} is no setting; did you mean {PREFIX}{similar[0]}?")
