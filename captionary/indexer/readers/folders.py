"""Rows of a folder that holds NAME.jpg with NAME.txt, each line of the text a caption."""

from pathlib import PurePosixPath

from captionary.files.picture_formats import is_picture
from captionary.indexer.readers.addresses import list_names, name_of, read_bytes
from captionary.indexer.readers.rows import Row, Rows
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import PairFailure


def read_folder(source: str) -> Rows:
    """The pictures of a folder by name, each with the lines of the text file of its name.

    Raises:
        WrongInput: the folder holds no picture with a text.
    """
    folder = source.rstrip("/") or "/"
    pictures, texts = _pictures_and_texts(folder)
    if not any(_stem(picture) in texts for picture in pictures):
        raise WrongInput(
            f"{source} holds no pairs NAME.jpg + NAME.txt "
            f"({len(pictures)} pictures, {len(texts)} texts); "
            "put the captions of a.jpg into a.txt beside it, or name a file as SOURCE"
        )
    for picture in pictures:
        text = texts.get(_stem(picture))
        if text is None:
            where = f"{_display_name(folder)}/{picture}"
            yield PairFailure(where, picture, f"no {_stem(picture)}.txt with captions beside it")
        else:
            yield _row(folder, picture, text)


def count_folder(source: str) -> int:
    """Pictures in a folder."""
    return len(_pictures_and_texts(source)[0])


def _pictures_and_texts(folder: str) -> tuple[list[str], dict[str, str]]:
    names = list_names(folder)
    pictures = [name for name in names if is_picture(name)]
    texts = {_stem(name): name for name in names if name.lower().endswith(".txt")}
    return pictures, texts


def _row(folder: str, picture: str, text: str) -> Row | PairFailure:
    where = f"{_display_name(folder)}/{text}"
    try:
        captions = split_captions(read_bytes(f"{folder}/{text}"))
    except WrongInput as error:
        return PairFailure(where, picture, str(error))
    except UnicodeDecodeError:
        return PairFailure(where, picture, "it is not valid UTF-8 text")
    return Row(where, {"image": picture, "captions": captions})


def split_captions(text: bytes) -> list[str]:
    """The lines of a text file that say something. Raises UnicodeDecodeError."""
    # Not splitlines: it breaks lines at characters that captions may hold.
    lines = text.decode("utf-8-sig").replace("\r", "\n").split("\n")
    return [line for line in lines if line.strip()]


def _display_name(folder: str) -> str:
    return name_of(folder) or folder


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
