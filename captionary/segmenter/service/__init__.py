"""The segmenter over HTTP, with a page to try it."""

from captionary.segmenter.service.routes import SegmenterService

__all__ = ["SegmenterService"]
