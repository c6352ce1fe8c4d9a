"""Both services in a thread of the tests, on a new store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from captionary.build import Models
from captionary.build_services import open_app
from captionary.serving.settings import ServeSettings
from tests.client.scripted import served


@contextmanager
def both_services(folder: Path, *, key: str | None = None) -> Iterator[str]:
    """Their address.

    key: may write; None: everybody may.
    """
    torch.set_num_threads(1)
    settings = ServeSettings(write_keys=(key,) if key else (), waiting=4)
    models = Models("mini", device="cpu")
    with open_app("both", models, str(folder / "store"), settings) as app, served(app) as url:
        yield url
