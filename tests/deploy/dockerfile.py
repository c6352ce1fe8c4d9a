"""Reads deploy/Dockerfile as far as tests need it: what each target runs, and as whom."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """A stage with all that it has from the stages below it."""

    name: str
    base: str
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    user: str = "root"
    port: str = ""
    signal: str = ""


def stages(path: Path) -> dict[str, Stage]:
    """The stages by name, with the build arguments' defaults filled in."""
    found: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    for word, rest in instructions(path.read_text(encoding="utf-8")):
        if word == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif word == "FROM":
            base, name = _filled(rest, arguments).split(" AS ")
            below = found.get(base)
            stage = _above(below, name) if below else Stage(name, base)
            found[name] = stage
        else:
            _take(stage, word, rest)
    return found


def instructions(text: str) -> list[tuple[str, str]]:
    """Instruction and the rest, lines put together."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n", " ", "\n".join(lines))
    split = [line.strip().split(maxsplit=1) for line in whole.splitlines() if line.strip()]
    return [(word, rest) for word, rest in split]


def _filled(text: str, arguments: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], text)


def _above(below: Stage, name: str) -> Stage:
    return Stage(
        name,
        below.name,
        healthcheck=below.healthcheck,
        environment=dict(below.environment),
        labels=dict(below.labels),
        volumes=below.volumes,
        user=below.user,
        port=below.port,
        signal=below.signal,
    )


def _take(stage: Stage, word: str, rest: str) -> None:
    if word == "ENTRYPOINT":
        stage.entrypoint = json.loads(rest)
    elif word == "CMD":
        stage.command = json.loads(rest)
    elif word == "HEALTHCHECK":
        stage.healthcheck = json.loads(rest.partition(" CMD ")[2])
    elif word in ("ENV", "LABEL"):
        pairs = dict(part.split("=", 1) for part in shlex.split(rest))
        (stage.environment if word == "ENV" else stage.labels).update(pairs)
    elif word == "VOLUME":
        stage.volumes = json.loads(rest)
    elif word in ("COPY", "RUN"):
        (stage.copied if word == "COPY" else stage.runs).append(rest)
    elif word == "USER":
        stage.user = rest
    elif word == "EXPOSE":
        stage.port = rest
    elif word == "STOPSIGNAL":
        stage.signal = rest
    elif word != "WORKDIR":
        raise ValueError(f"the tests do not know the instruction {word}")
