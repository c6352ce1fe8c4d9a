"""Pictures of every format that is read are opened; what is none of them is named."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from captionary.files.picture_formats import is_picture, open_picture, readable_formats
from captionary.schemas.errors import UnreadablePicture

# 64 x 48 pixels, olive with a navy stripe of 16 at the left.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAA"
    "AAAAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABoQABAAAAAAAAAFwAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAA"
    "AAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34"
    "+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5"
    "uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAA"
    "AAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAA"
    "AAAAAAEAAQWBAgMFhAAAAGRtZGF0AAAAWCgBr1iLMhOSX//o2PkexKf7c1Fb6JVX/gI+vGS6GsO58iUCDi9+f3f8"
    "y4dcF1rfzubJBsJB8z478bw2xN7+UkoVP/U0zt7N8MPtZ8wCHtcTcbwqOhEV0sA="
)
FTYP = b"\0\0\0\x18ftyp%b\0\0\0\0" + b"\0" * 500


def refusal(data: bytes, name: str = "a.jpg") -> str:
    with pytest.raises(UnreadablePicture) as caught:
        open_picture(io.BytesIO(data), name=name)
    message = str(caught.value)
    assert message.startswith(f"{name} is ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM"]
)
def test_what_pillow_has_is_opened_by_its_content(kind: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7), "olive").save(buffer, kind)

    with open_picture(buffer, name="page.html") as image:
        assert (image.format, image.size) == (kind, (9, 7))


def test_heic_is_read_by_a_plugin() -> None:
    pytest.importorskip("pi_heif")
    with open_picture(io.BytesIO(HEIC), name="a.heic") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)

    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels[24, 8] - (0, 0, 128)).max() < 8
    assert np.abs(pixels[24, 40] - (128, 128, 0)).max() < 8
    assert "truncated or damaged" in refusal(HEIC[:60])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>", "a web page, as a failed"),
        (b"\n\n<HTML>", "a web page"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
        (b'{"error": "AccessDenied"}', 'text that begins \'{"error": "AccessDenied"}\''),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (FTYP % b"isom", "a video"),
        (FTYP % b"qt  ", "a video"),
        (b"RIFF\0\0\0\0AVI LIST", "a video"),
        (b"\x1aE\xdf\xa3" + b"\1" * 50, "a video"),
        (FTYP % b"crx ", "a camera's raw data"),
        (b"II*\0\x10\0\0\0CR\x02\0" + b"\0" * 50, "a camera's raw data"),
        (b"8BPS\0\1" + b"\0" * 50, "a Photoshop document"),
        (b"PK\x03\x04" + b"\0" * 50, "an archive"),
        (b"\0" * 99, "give one of JPEG, PNG"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, said: str) -> None:
    message = refusal(data)

    assert f"is not a picture ({len(data)} bytes)" in message
    assert said in message


@pytest.mark.parametrize(
    "data", [b"\xff\xd8\xff\xe0" + b"\0" * 9, b"\x89PNG\r\n\x1a\n", FTYP % b"avif", b"MM\0*"]
)
def test_a_header_of_a_picture_without_the_rest_is_damaged(data: bytes) -> None:
    assert "is truncated or damaged" in refusal(data)


def test_a_format_without_its_decoder_says_what_to_install() -> None:
    if "JXL" in readable_formats():
        pytest.skip("this installation reads JPEG XL")
    assert "is JPEG XL, which needs pillow-jxl-plugin" in refusal(b"\0\0\0\x0cJXL \r\n\x87\n")


def test_raw_data_is_not_taken_for_its_preview() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7)).save(buffer, "TIFF")

    assert "a camera's raw data" in refusal(buffer.getvalue(), "DSC_0001.NEF")


def test_pictures_are_told_by_their_suffix() -> None:
    assert all(map(is_picture, ("a.JPG", "a.b.jfif", "é.HEIC", "a.avif", "x.jxl")))
    assert not any(map(is_picture, ("a.txt", "jpg", "._a.jpg", "a.jpg.txt")))
