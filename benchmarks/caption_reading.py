"""What is made of captions: compounds that are found, captions that are changed or suspected.

`python -m benchmarks.caption_reading CAPTIONS.jsonl`; the lines of the file have `caption` or
`captions`.
"""

import argparse
import re
from pathlib import Path

from benchmarks.noun_extraction import read_captions
from captionary.indexer.nouns import NounExtractor
from captionary.indexer.nouns.caption_text import clean_caption
from captionary.indexer.nouns.compounds import listed_compounds

SENTENCES = (
    "a photo of a {}",
    "there is a {} next to the tree",
    "A {} and a dog.",
    "{}",
    "two {}s on the left",
    "some {}s near a man",
)
IRREGULAR = {"man": "men", "foot": "feet", "knife": "knives", "mouse": "mice"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--limit", type=int, default=1_000_000)
    options = parser.parse_args()
    captions = read_captions(options.captions, limit=options.limit)
    extractor = NounExtractor()
    names = [name.removesuffix(" *") for name in listed_compounds()]

    def noun_of(name: str) -> str:
        return next(iter(next(extractor.nouns([f"a photo of a {name}"]))), "")

    nouns = {name: noun_of(name) for name in names}
    for sentence in SENTENCES:
        gap = "{}s" if "{}s" in sentence else "{}"
        said = [sentence.replace(gap, say(name, plural=gap == "{}s")) for name in names]
        found = extractor.nouns(said)
        right = sum(nouns[name] in taken for name, taken in zip(names, found, strict=True))
        print(f"{sentence!r}: {right / len(names):.1%} of {len(names)} compounds")

    named = found_there = 0
    forms = re.compile(
        r"\b(" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + r")(?:e?s)?\b"
    )
    for caption, taken in zip(captions, extractor.nouns(captions), strict=True):
        for match in forms.finditer(caption.lower()):
            named += 1
            found_there += nouns[match[1]] in taken
    print(f"captions: {found_there} of {named} compounds that they name")
    texts = [clean_caption(caption) for caption in captions]
    cleaned = sum(text != " ".join(c.split()) for c, text in zip(captions, texts, strict=True))
    suspected = sum(bool(extractor.language.other_language(text)) for text in texts)
    print(f"{len(captions)} captions: {cleaned} cleaned, {suspected} of another language")


def say(name: str, *, plural: bool) -> str:
    """A compound as a caption has it."""
    *before, last = name.split()
    if not plural or "of" in before:
        return name
    regular = last + ("es" if last.endswith(("s", "x", "z", "ch", "sh")) else "s")
    if last.endswith("y") and last[-2] not in "aeiou":
        regular = last[:-1] + "ies"
    return " ".join((*before, IRREGULAR.get(last, regular)))


if __name__ == "__main__":
    main()
