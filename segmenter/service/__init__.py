"""The segmenter over HTTP, with a page to try it."""

from segmenter.service.routes import SegmenterService

__all__ = ["SegmenterService"]
