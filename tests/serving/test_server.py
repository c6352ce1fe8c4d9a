import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from captionary.schemas.errors import WrongInput
from captionary.serving.server import address_of, listen
from tests.serving.parts import BODY

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120
"""Seconds for a process to come as far as wanted."""


@contextmanager
def process(port: int = 0) -> Iterator[subprocess.Popen[str]]:
    """The process of served.py, ended at the end whatever happens."""
    command = [sys.executable, "-m", "tests.serving.served", str(port)]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                started.kill()


def line_of(started: subprocess.Popen[str]) -> str:
    assert started.stdout is not None
    return started.stdout.readline().strip()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("interruptible")
def test_a_signal_ends_it_after_the_requests_under_way(ending: signal.Signals) -> None:
    answers: list[httpx.Response] = []
    with process() as served:
        address = line_of(served)
        asking = threading.Thread(
            target=lambda: answers.append(httpx.get(f"{address}/slow", timeout=PATIENCE))
        )
        asking.start()
        assert line_of(served) == "asked"
        served.send_signal(ending)
        out, err = served.communicate(timeout=PATIENCE)
        asking.join(PATIENCE)
    assert answers[0].json() == "done"
    # It returned rather than died: what is around the app was closed.
    assert out.strip() == "part starts, part ends, and all is closed"
    assert served.returncode == 0
    [logged] = [json.loads(line) for line in err.splitlines()]
    assert (logged["path"], logged["status"]) == ("/slow", 200)


def test_what_is_too_large_ends_its_connection_and_others_go_on() -> None:
    with process() as served:
        address = line_of(served)
        with httpx.Client(timeout=PATIENCE) as client:
            refused = client.post(f"{address}/slow", content=b"x" * 2 * BODY)
            assert refused.status_code == 405
            assert client.get(f"{address}/healthz").status_code == 200
        served.send_signal(signal.SIGTERM)
        served.communicate(timeout=PATIENCE)
    assert served.returncode == 0


def test_whoever_goes_away_is_no_fault() -> None:
    with process() as served:
        host, port = line_of(served).removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as half:
            half.sendall(b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nhalf")
            assert line_of(served) == "counting"
        served.send_signal(signal.SIGTERM)
        _, err = served.communicate(timeout=PATIENCE)
    # 499: counted and logged, but nobody was there to be told.
    [logged] = [json.loads(line) for line in err.splitlines()]
    assert (logged["event"], logged["status"]) == ("request", 499)
    assert served.returncode == 0


def test_a_port_in_use_is_one_line() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with process(port) as served:
            out, err = served.communicate(timeout=PATIENCE)
    assert served.returncode == 1
    assert out == ""
    assert err.strip() == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; give another --port"
    )


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(WrongInput, match=r"cannot listen on 192\.0\.2\.1:"):
        listen("192.0.2.1", 0)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(WrongInput, match=r"cannot listen on no-such-host\.invalid:"):
        listen("no-such-host.invalid", 0)


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_the_address_is_told_as_it_is_asked_for(host: str, told: str) -> None:
    try:
        listening = listen(host, 0)
    except WrongInput as error:
        pytest.skip(f"this machine has no {host}: {error}")
    with listening:
        port = listening.getsockname()[1]
        assert address_of(listening) == f"http://{told}:{port}"
