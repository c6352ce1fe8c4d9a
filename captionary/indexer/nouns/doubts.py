"""What is doubtful about captions as they were read: their language, and their script."""

from collections.abc import Iterator

from captionary.indexer.nouns.caption_text import clean_caption
from captionary.indexer.nouns.language import LanguageCheck
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption

_ADVICE = "name an installed spaCy pipeline of that language with --pipeline"
_SHOWN = 60
"""Characters of a caption in a note, at most."""


def doubts_about(pair: ImageCaption, language: LanguageCheck) -> Iterator[Note]:
    """What a run has to say of captions that may have been misread, a note for each caption."""
    own = language.language
    texts = [clean_caption(caption) for caption in pair.captions]
    scripts = [language.unread_script(text) for text in texts]
    if all(scripts):
        return  # the pair is refused for that
    for text, script in zip(texts, scripts, strict=True):
        if script:
            what = f"captions in scripts that the {own} pipeline cannot read, left out"
            yield Note(what, f"{pair.where}, {script}", _ADVICE)
        elif other := language.other_language(text):
            what = (
                f"captions that look like another language than {own}, read as {own} all the same"
            )
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
            yield Note(what, f"{pair.where}, {other}: {shown!r}", _ADVICE)


def why_nothing_named(pair: ImageCaption, language: LanguageCheck) -> str:
    """Why a pair has no nouns."""
    texts = [clean_caption(caption) for caption in pair.captions]
    scripts = [language.unread_script(text) for text in texts]
    if all(scripts):
        return (
            f"it is captioned in {' and '.join(sorted(set(scripts)))} script, which the "
            f"{language.language} pipeline cannot read; {_ADVICE}"
        )
    if not any(texts):
        return (
            "its captions are only markup, addresses or names of files; "
            "say in words what the picture shows"
        )
    return "its captions name nothing that can be seen"
