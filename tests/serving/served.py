"""A process that serves a slow route until it is told to end; `python served.py PORT`."""

import sys
import time

from fastapi import Request

from captionary.schemas.errors import CaptionaryError
from captionary.serving.logs import configure_json_logging
from captionary.serving.server import address_of, listen, serve
from tests.serving.parts import Part, app_of

SECONDS = 0.4


def main(port: int) -> None:
    part = Part()

    @part.router.get("/slow")
    def slow() -> str:
        print("asked", flush=True)
        time.sleep(SECONDS)
        return "done"

    @part.router.post("/count")
    async def count(request: Request) -> int:
        print("counting", flush=True)
        return sum([len(piece) async for piece in request.stream()])

    configure_json_logging()
    with listen("127.0.0.1", port) as listening:
        print(address_of(listening), flush=True)
        serve(app_of(part), listening)
    print(*part.events, "and all is closed", sep=", ", flush=True)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except CaptionaryError as error:
        sys.exit(str(error))
