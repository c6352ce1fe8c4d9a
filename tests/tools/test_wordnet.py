"""The lexicon of kinds, made from a few lines of WordNet."""

from pathlib import Path

import pytest

import tools.wordnet as tool
from captionary.segmenter.kinds.lexicon import Lexicon

HEAD = "  1 A licence.  \n  2 \n"
DATA = """\
00000001 03 n 01 entity 0 000 | all
00000002 03 n 01 physical_entity 0 001 @ 00000001 n 0000 | seen
00000003 03 n 02 person 0 soul 0 001 @ 00000002 n 0000 | one
00000004 03 n 01 fence 0 001 @ 00000002 n 0000 | a barrier
00000005 03 n 01 fence 2 001 @ 00000003 n 0000 | a dealer; "he | she"
00000006 03 n 01 Ann 0 001 @i 00000003 n 0000 | a name
00000007 03 n 01 table 0 001 @ 00000001 n 0000 | an array
00000008 03 n 01 table 0 002 @ 00000002 n 0000 + 00000009 v 0101 | furniture
"""
INDEX = """\
ann n 1 1 @i 1 0 00000006
entity n 1 0 1 0 00000001
fence n 2 1 @ 2 0 00000004 00000005
person n 1 1 @ 1 0 00000003
physical_entity n 1 1 @ 1 0 00000002
soul n 1 1 @ 1 0 00000003
table n 2 1 @ 2 0 00000007 00000008
"""


def test_first_senses_that_are_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("data.noun", DATA), ("index.noun", INDEX)):
        (tmp_path / name).write_text(HEAD + text)
    for table in ("PLANTS", "TOO_GENERAL", "MEANT"):
        monkeypatch.setattr(tool, table, {})
    for table in ("SHOW_PERSONS", "NO_KIND", "ALSO_KIND"):
        monkeypatch.setattr(tool, table, ())
    synsets = tool.read_synsets(tmp_path / "data.noun")
    senses = tool.read_senses(tmp_path / "index.noun")

    lexicon = Lexicon(tool.lexicon_text(synsets, senses))

    assert tool.licence_text(tmp_path / "data.noun") == "A licence.\n"
    assert lexicon.senses("soul") == lexicon.senses("person") != set()
    assert lexicon.senses("ann") == lexicon.senses("entity") == set()
    assert len(lexicon.senses("table")) == 1
    (barrier,) = lexicon.senses("fence")
    assert lexicon.senses("person").isdisjoint(lexicon._up(barrier))
    assert len(lexicon.all_senses("fence")) == 2
