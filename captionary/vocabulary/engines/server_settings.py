"""How to talk to a Qdrant server, read once from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from captionary.schemas.errors import WrongInput

PREFIX = "CAPTIONARY_QDRANT_"


class ServerSettings(BaseSettings):
    """Environment: CAPTIONARY_QDRANT_<NAME>; an empty variable counts as not set.

    grpc:     talk gRPC, on `grpc_port`, instead of HTTP.
    timeout:  seconds to wait for a response, rounded up to whole ones; after as many seconds no
              request is made again, so that all its tries end within twice the time; of a cluster
              every node is asked once at least, each for so long.
    shards:   parts of each collection of a new dictionary; None: as the server is set.
    replicas: copies of each part, on as many machines.
    ca:       file of the certificates to trust; None: the system's.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    api_key: SecretStr | None = None
    grpc: bool = False
    grpc_port: int = Field(default=6334, ge=1, le=65535)
    timeout: float = Field(default=60, gt=0, allow_inf_nan=False)
    shards: int | None = Field(default=None, ge=1)
    replicas: int = Field(default=1, ge=1)
    ca: Path | None = None


def read_server_settings() -> ServerSettings:
    """The settings of this process.

    Raises:
        WrongInput: a variable has a value that it cannot have.
    """
    try:
        return ServerSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise WrongInput(f"{name}={first['input']} cannot be used: {first['msg']}") from error
