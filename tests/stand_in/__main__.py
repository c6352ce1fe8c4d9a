"""`python -m tests.stand_in --port N --folder DIR [--api-key K]`: serves until it is killed.

It stands in for a Qdrant server: its REST API and its gRPC API, answered from Edge shards. It
proves the shapes of requests and our side of the border. It proves nothing about clusters,
replicas, the server's own log, snapshots or strict mode.
"""

import argparse
import signal
from pathlib import Path

from tests.stand_in.running import running


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.stand_in", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--api-key")
    options = parser.parse_args()
    with running(options.folder, port=options.port, api_key=options.api_key) as stand_in:
        print(f"ready {stand_in.url}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
