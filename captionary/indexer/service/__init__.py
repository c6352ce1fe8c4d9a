"""The indexer over HTTP: a durable queue, and the one worker that empties it."""

from captionary.indexer.service.job_queue import JobQueue, claimed
from captionary.indexer.service.routes import IndexerService

__all__ = ["IndexerService", "JobQueue", "claimed"]
