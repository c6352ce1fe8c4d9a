"""The indexer over HTTP: a durable queue, and the one worker that empties it."""

from captionary.indexer.service.job_queue import JobQueue, open_queue
from captionary.indexer.service.service import IndexerService

__all__ = ["IndexerService", "JobQueue", "open_queue"]
