"""When two words name the same thing for us: any case, singular or plural."""

IRREGULAR = {
    "children": "child",
    "feet": "foot",
    "geese": "goose",
    "mice": "mouse",
    "teeth": "tooth",
}

ENDINGS = (("men", "man"), ("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ves", "fe"))


def forms(word: str) -> tuple[str, ...]:
    """The word in lower case, and what it might be the plural of, likeliest first."""
    lower = " ".join(word.casefold().split())
    found = [lower, *([IRREGULAR[lower]] if lower in IRREGULAR else [])]
    for ending, single in ENDINGS:
        if lower.endswith(ending) and not lower.endswith("ss") and lower != ending:
            found.append(lower.removesuffix(ending) + single)
    return tuple(dict.fromkeys(found))
