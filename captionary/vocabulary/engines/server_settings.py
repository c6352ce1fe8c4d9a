"""How to talk to a Qdrant server, read once from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from captionary.schemas.errors import WrongInput
from captionary.vocabulary.engines.server import ServerSettings

PREFIX = "CAPTIONARY_QDRANT_"


class StoreSettings(BaseSettings):
    """Environment: CAPTIONARY_QDRANT_<NAME>; what is empty counts as not set.

    grpc:             talk gRPC instead of HTTP, on grpc_port.
    timeout:          seconds to wait for an answer.
    shards, replicas: of a new dictionary's collections; shards not set: as the server is set.
    ca:               file of the certificates to trust, instead of the system's.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    api_key: SecretStr | None = None
    grpc: bool = False
    grpc_port: int = Field(default=6334, ge=1, le=65535)
    timeout: float = Field(default=60, gt=0, allow_inf_nan=False)
    shards: int | None = Field(default=None, ge=1)
    replicas: int = Field(default=1, ge=1)
    ca: Path | None = None


def read_store_settings() -> ServerSettings:
    """The settings of this process.

    Raises:
        WrongInput: a variable has a value that it cannot have.
    """
    try:
        read = StoreSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise WrongInput(f"{name}={first['input']} cannot be used: {first['msg']}") from error
    return ServerSettings(
        api_key=read.api_key.get_secret_value() if read.api_key else None,
        grpc=read.grpc,
        grpc_port=read.grpc_port,
        timeout=read.timeout,
        shards=read.shards,
        replicas=read.replicas,
        ca=read.ca,
    )
