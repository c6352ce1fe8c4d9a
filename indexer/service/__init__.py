"""The indexer over HTTP: a durable queue, and the one worker that empties it."""

from indexer.service.routes import IndexerService

__all__ = ["IndexerService"]
