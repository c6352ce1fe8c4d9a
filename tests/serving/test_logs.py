import io
import json
import logging
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from captionary.serving.logs import configure_json_logging, request_id


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged as JSON, with logging as it was afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("captionary")
    before = (root.handlers[:], root.level, ours.level)
    stream = io.StringIO()
    # Other handlers are taken away here rather than by `force`, which would close them.
    root.handlers[:] = []
    configure_json_logging(stream)
    yield stream
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def parse_events(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_an_event_is_one_line_with_what_else_was_given(lines: io.StringIO) -> None:
    logging.getLogger("captionary").info("two\nlines", extra={"pictures": 3, "noun": "Käfer"})
    [event] = parse_events(lines)
    assert event["event"] == "two\nlines"
    assert (event["level"], event["pictures"], event["noun"]) == ("info", 3, "Käfer")
    assert "Käfer" in lines.getvalue()
    assert "request_id" not in event


def test_the_time_is_of_utc(lines: io.StringIO) -> None:
    before = time.time()
    logging.getLogger("captionary").info("now")
    stamp = parse_events(lines)[0]["time"]
    assert stamp.endswith("Z")
    assert before - 1 < datetime.fromisoformat(stamp).timestamp() < time.time() + 1


def test_the_request_is_named(lines: io.StringIO) -> None:
    token = request_id.set("abc")
    logging.getLogger("captionary").warning("slow")
    request_id.reset(token)
    assert parse_events(lines)[0]["request_id"] == "abc"


def test_a_trace_stays_on_the_line(lines: io.StringIO) -> None:
    try:
        int("gone")
    except ValueError:
        logging.getLogger("captionary").exception("fault")
    [event] = parse_events(lines)
    assert event["trace"].splitlines()[-1].startswith("ValueError: invalid literal")


def test_anything_can_be_said(lines: io.StringIO) -> None:
    logging.getLogger("captionary").info("saw %s", {1}, extra={"thing": object()})
    [event] = parse_events(lines)
    assert event["event"] == "saw {1}"
    assert event["thing"].startswith("<object")


def test_others_are_heard_from_warnings_on(lines: io.StringIO) -> None:
    for name in ("httpx", "captionary.part"):
        logging.getLogger(name).info("info of %s", name)
        logging.getLogger(name).warning("warning of %s", name)
    assert [event["event"] for event in parse_events(lines)] == [
        "warning of httpx",
        "info of captionary.part",
        "warning of captionary.part",
    ]
