"""Single values of rows, checked: text that is text, and what a message shows of others."""

import json


class BadValueError(ValueError):
    """A value that cannot be used; the message completes a report."""


def to_text(value: object, column: str) -> str:
    """A value that is text, or bytes of it. Raises BadValueError: it is not, or no Unicode."""
    if isinstance(value, bytes):  # of Parquet files that do not say that it is text
        value = value.decode(errors="surrogateescape")
    if not isinstance(value, str):
        raise BadValueError(f"{column} is {abbreviate(value)}, not text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        broken = ord(value[error.start])
        # Bytes that could not be decoded are kept as surrogates, too.
        what = (
            f"the byte {broken - 0xDC00:#04x}"
            if 0xDC80 <= broken <= 0xDCFF
            else f"half a character (\\u{broken:04x}), as of an emoji that was cut"
        )
        raise BadValueError(f"{column} is not valid UTF-8 text: it holds {what}") from error
    return value


def abbreviate(value: object) -> str:
    """A value as a message can show it: in JSON, and not long."""
    try:
        text = json.dumps(value, default=repr)
    except RecursionError:
        text = type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}..."
