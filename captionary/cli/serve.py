"""`captionary serve`: the indexer and the segmenter as services over HTTP."""

import logging
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from captionary.build import ModelNames
from captionary.cli import options

log = logging.getLogger("captionary")

Role: TypeAlias = Literal["indexer", "segmenter", "both"]


def serve(
    *,
    store: options.Store = options.DEFAULT_STORE,
    role: Annotated[Role, typer.Option(help="What to serve; both share one process.")] = "both",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any free one.", min=0, max=65535)] = 8000,
    root_path: Annotated[
        str | None, typer.Option(help="Path under which a proxy shows it, as in /captionary.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder of the indexer's queue; beside the store unless given."),
    ] = None,
    allow_network: Annotated[
        bool, typer.Option("--open", help="Serve other machines without API keys.")
    ] = False,
    pipeline: Annotated[
        str | None, typer.Option(help="An installed spaCy pipeline, for other languages.")
    ] = None,
    keep: options.Keep = None,
    encoder: options.Encoder = None,
    proposer: options.Proposer = None,
    embed: options.Embed = None,
    looks: options.Looks = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Serve over HTTP: captions in by one service, masks out by the other, and a page to try it.

    Keys and limits come from the environment (docs/operating.md).
    """
    from captionary.serving import server
    from captionary.serving.api_keys import check_exposure
    from captionary.serving.logs import configure_json_logging
    from captionary.serving.settings import read_settings

    settings = read_settings(root_path=root_path)
    check_exposure(host, settings.keys, allow_network=allow_network)
    models = ModelNames(encoder, proposer, embed, looks, precision, device)
    with server.listen(host, port) as listening, ExitStack() as opened:
        # What is wrong with the settings is reported before the models' libraries are loaded.
        if sys.stderr.isatty():
            print("captionary: loading the models", file=sys.stderr)
        from captionary.build_services import open_app

        app = opened.enter_context(
            open_app(
                role,
                models,
                store,
                settings,
                state=state,
                pipeline=pipeline,
                keep=keep,
                allow_network=allow_network,
            )
        )
        address = server.address_of(listening)
        configure_json_logging()
        print(f"captionary ({role}) on {address}, dictionary {store}", flush=True)
        about = {"release": app.version, "role": role, "address": address, "store": store}
        log.info("started", extra=about)
        server.serve(app, listening)
        log.info("stopped", extra=about)
