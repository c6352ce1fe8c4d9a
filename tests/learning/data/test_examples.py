import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captionary.learning.data.examples import CaptionedPictures, group_by_picture
from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.schemas.pairs import ImageCaption


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        Image.new("RGB", (5, 4), (number, number, number)).save(path)
    paths[1].write_bytes(b"no picture")
    paths[2].unlink()
    return [str(path) for path in paths]


def test_pairs_of_one_picture_are_one_example(files: list[str]) -> None:
    first, *_, last = files
    pictures = CaptionedPictures(
        group_by_picture(
            [
                ImageCaption(first, ("a dog", " a  dog ", "")),
                ImageCaption(last, ("a cat",)),
                ImageCaption(first, ("two ears",)),
            ]
        )
    )

    assert len(pictures) == 2
    assert pictures[0].captions == ("a dog", "two ears")
    assert pictures[0].picture.shape == (4, 5, 3)
    assert [*pictures.captions] == ["a dog", "two ears", "a cat"]


def test_another_stands_in_for_what_cannot_be_read(
    files: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    pictures = CaptionedPictures([ImageCaption(file, (file,)) for file in files])

    with caplog.at_level(logging.WARNING):
        values = [int(np.mean(pictures[index].picture)) for index in range(4)]

    assert values == [0, 3, 3, 3]
    assert len(caplog.records) == 1
    assert files[1] in caplog.text


def test_the_last_is_followed_by_the_first(files: list[str]) -> None:
    pictures = CaptionedPictures([ImageCaption(file, ("x",)) for file in (files[0], files[1])])

    assert pictures[1].picture.max() == 0
    with pytest.raises(IndexError, match="2 pictures"):
        pictures[2]


def test_nothing_to_learn_from_is_refused(files: list[str]) -> None:
    with pytest.raises(WrongInput, match="none of 1 pictures has a caption"):
        group_by_picture([ImageCaption(files[0], ("  ",))])
    with pytest.raises(UnreadablePicture, match="none of the 2 pictures"):
        CaptionedPictures([ImageCaption(file, ("x",)) for file in files[1:3]])[0]
