"""Which media type an Accept header gets."""

import pytest

from captionary.segmenter.service.negotiation import preferred_media_type

OFFERED = ("application/json", "image/png", "image/jpeg")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("  ", "application/json"),
        ("*/*", "application/json"),
        ("image/*", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("IMAGE/PNG", "image/png"),
        ("image/png, application/json", "application/json"),
        ("image/png, application/json;q=0.9", "image/png"),
        ("application/json; q=0.1, image/jpeg; q=0.2", "image/jpeg"),
        ("application/json;charset=utf-8;q=0.1, image/*;q=0.05", "application/json"),
        ("image/avif,image/webp,*/*;q=0.8", "application/json"),
        ("*/*, application/json;q=0", "image/png"),
        ("image/*;q=0, */*;q=0.1", "application/json"),
        ("image/*;q=0.9, image/png;q=0.2, application/json;q=0.3", "image/jpeg"),
        ("text/html", None),
        ("image/png;q=0", None),
        ("image/png;q=0.0", None),
        ("nonsense, ;;, image/jpeg", "image/jpeg"),
        ("image/png;q=high, image/jpeg;q=0.1", "image/jpeg"),
        ("image/png;q=2", None),
        ("nonsense", None),
    ],
)
def test_what_is_liked_best_is_answered(accept: str, chosen: str | None) -> None:
    assert preferred_media_type(accept, OFFERED) == chosen
