"""Captionary: a visual dictionary that grows from captions, and a segmenter that reads it.

    import captionary

    with captionary.Dictionary("dictionary", encoder="mini") as dictionary:
        dictionary.index("photos.jsonl")
        result = dictionary.segment("new.jpg", ["dog", "grass: lawn | meadow"])
    result.overlay().save("new.overlay.jpg")

Importing it costs nothing: what is named here is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captionary.dictionary import Dictionary
    from captionary.schemas.classes import ClassName
    from captionary.schemas.errors import CaptionaryError, UnreadablePicture, WrongInput
    from captionary.schemas.jobs import Job
    from captionary.schemas.pairs import ImageCaption
    from captionary.segmenter.result import Result

__all__ = [
    "CaptionaryError",
    "ClassName",
    "Dictionary",
    "ImageCaption",
    "Job",
    "Result",
    "UnreadablePicture",
    "WrongInput",
]

_MODULES = {
    "CaptionaryError": "schemas.errors",
    "ClassName": "schemas.classes",
    "Dictionary": "dictionary",
    "ImageCaption": "schemas.pairs",
    "Job": "schemas.jobs",
    "Result": "segmenter.result",
    "UnreadablePicture": "schemas.errors",
    "WrongInput": "schemas.errors",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'captionary' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"captionary.{_MODULES[name]}"), name)
    globals()[name] = value  # the next time it is found at once
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
