"""Captions a second of noun extraction, in one process.

`python -m benchmarks.noun_extraction CAPTIONS.jsonl [--pipeline NAME] [--limit N]`; the lines of
the file have `caption` or `captions`.
"""

import argparse
import json
import time
from pathlib import Path


def read_captions(path: Path, *, limit: int) -> list[str]:
    captions: list[str] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            captions += row["captions"] if "captions" in row else [row["caption"]]
            if len(captions) >= limit:
                break
    return captions[:limit]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--pipeline", help="a spaCy pipeline; default: the carried one")
    parser.add_argument("--limit", type=int, default=20_000)
    options = parser.parse_args()
    captions = read_captions(options.captions, limit=options.limit)

    start = time.perf_counter()
    from captionary.indexer.nouns import NounExtractor

    extractor = NounExtractor(options.pipeline)
    loaded = time.perf_counter()
    nouns = sum(map(len, extractor.nouns(captions)))
    seconds = time.perf_counter() - loaded
    print(f"{loaded - start:.2f} s to import and load")
    print(
        f"{len(captions) / seconds:,.0f} captions/s ({len(captions):,} captions, {nouns:,} nouns)"
    )


if __name__ == "__main__":
    main()
