"""What a run has to say once, at its end."""

from captionary.schemas.notes import Note, merge_notes


def test_notes_of_a_kind_are_counted_and_the_first_is_named() -> None:
    notes = [Note("greys", "a"), Note("tags", "b", "untag"), Note("greys", "c", count=2)]
    assert [str(note) for note in merge_notes(notes)] == [
        "greys: 3 (first: a)",
        "tags: 1 (first: b); untag",
    ]
