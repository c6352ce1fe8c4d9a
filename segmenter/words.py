"""When two words name the same thing for us: any case, singular or plural."""

ENDINGS = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ves", "fe"))


def forms(word: str) -> tuple[str, ...]:
    """The word in lower case, and what it might be the plural of, likeliest first."""
    lower = " ".join(word.casefold().split())
    found = [lower]
    for ending, single in ENDINGS:
        if lower.endswith(ending) and not lower.endswith("ss") and lower != ending:
            found.append(lower.removesuffix(ending) + single)
    return tuple(dict.fromkeys(found))
