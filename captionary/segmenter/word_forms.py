"""Word forms: words that differ only in case or number name the same thing."""

IRREGULAR = {
    "children": "child",
    "feet": "foot",
    "geese": "goose",
    "mice": "mouse",
    "teeth": "tooth",
}

ENDINGS = (("men", "man"), ("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ves", "fe"))


def base_forms(word: str) -> tuple[str, ...]:
    """The word in lower case, and the singulars it might be the plural of, likeliest first."""
    lower = " ".join(word.casefold().split())
    candidates = [lower, *([IRREGULAR[lower]] if lower in IRREGULAR else [])]
    # "glass" is no plural of "glas", and "s" alone none of nothing.
    for ending, single in ENDINGS:
        if lower.endswith(ending) and not lower.endswith("ss") and lower != ending:
            candidates.append(lower.removesuffix(ending) + single)
    return tuple(dict.fromkeys(candidates))
