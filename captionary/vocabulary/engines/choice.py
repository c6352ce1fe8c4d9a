"""Which engine a store needs, by its address."""

from captionary.schemas.errors import WrongInput
from captionary.vocabulary.engines.engine import Engine


def open_engine(store: str) -> Engine:
    """Open the engine of a store: a folder, or a dictionary on a Qdrant server (`http://...`).

    Raises:
        WrongInput: the address is of no known kind, or what is there cannot be used.
        StoreInUse: another process has the folder open.
        StoreUnreachable: the server does not answer.
    """
    if "://" not in store:
        from captionary.vocabulary.engines.edge import EdgeEngine

        return EdgeEngine(store)
    if not store.startswith(("http://", "https://")):
        raise WrongInput(
            f"the store {store.partition('://')[0]}://... is of no known kind; "
            "give a folder, or http://HOST[:PORT][/NAME] of a Qdrant server"
        )
    from captionary.vocabulary.engines.server import ServerEngine
    from captionary.vocabulary.engines.server_settings import read_server_settings

    return ServerEngine(store, read_server_settings())
