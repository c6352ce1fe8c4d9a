"""What can be asked of the services: a method for each route, which answers a flow."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from captionary.client.errors import NotDone
from captionary.client.sans_io import Flow, Pause, Request, ask, picture, read
from captionary.client.uploads import Image, Pair, batches, pair_body, upload
from captionary.schemas.bodies import (
    AboutBody,
    AcceptedBody,
    JobBody,
    NounDetailBody,
    RetrievalBody,
    SegmentationBody,
    VocabularyBody,
)
from captionary.schemas.options import DEFAULT_THRESHOLD, BackgroundMode, Fusion

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two looks at a job."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of a client.

    segmenter, indexer: their addresses, without a slash at the end.
    patience: seconds to wait for a busy service, in all.
    """

    segmenter: str
    indexer: str
    patience: float

    def segment(
        self,
        image: Image,
        classes: str | Sequence[str],
        *,
        fusion: Fusion = "both",
        background: BackgroundMode = "none",
        threshold: float = DEFAULT_THRESHOLD,
        refine: bool = False,
        evidence: int = 0,
    ) -> Flow[SegmentationBody]:
        """A mask for every class, and the regions behind them.

        Args:
            image:      a path, bytes or a file.
            classes:    "road, sky, person: man | woman", or such items one by one.
            fusion:     what scores regions.
            background: what becomes of pixels that belong to no class.
            threshold:  background below this probability (threshold, auto), in [0, 1].
            refine:     sharper borders, by the picture's colours; slower.
            evidence:   prototypes named for each region, at most.
        """
        fields = _fields(classes, fusion, background, threshold, refine)
        asked = self._segment(image, "json", fields | {"evidence": evidence})
        return read(SegmentationBody, (yield from self._ask(asked)))

    def class_map(
        self,
        image: Image,
        classes: str | Sequence[str],
        *,
        fusion: Fusion = "both",
        background: BackgroundMode = "none",
        threshold: float = DEFAULT_THRESHOLD,
        refine: bool = False,
    ) -> Flow[bytes]:
        """A PNG whose pixels are numbers of classes, in the order asked; options as `segment`."""
        fields = _fields(classes, fusion, background, threshold, refine)
        asked = self._segment(image, "png", fields)
        return picture("image/png", (yield from self._ask(asked)))

    def overlay(
        self,
        image: Image,
        classes: str | Sequence[str],
        *,
        fusion: Fusion = "both",
        background: BackgroundMode = "none",
        threshold: float = DEFAULT_THRESHOLD,
        refine: bool = False,
    ) -> Flow[bytes]:
        """A JPEG of the picture with its classes in colours; options as `segment`."""
        fields = _fields(classes, fusion, background, threshold, refine)
        asked = self._segment(image, "overlay", fields)
        return picture("image/jpeg", (yield from self._ask(asked)))

    def _segment(self, image: Image, format: str, fields: dict[str, Any]) -> Request:
        return Request(
            "POST",
            f"{self.segmenter}/v1/segment",
            data=fields | {"format": format},
            files=upload(image),
        )

    def retrieve(
        self,
        image: Image,
        *,
        box_xyxy: Sequence[int] | None = None,
        limit: int = 10,
        noun: str | None = None,
        source: str | None = None,
        tag: str | None = None,
    ) -> Flow[RetrievalBody]:
        """What the dictionary has that looks like a picture, or like a box of it.

        Args:
            image:    a path, bytes or a file.
            box_xyxy: x0, y0, x1, y1 in pixels, half-open; None: the whole picture.
            limit:    nouns, and regions, at most.
            noun, source, tag: only what has them.
        """
        box = None if box_xyxy is None else ",".join(map(str, box_xyxy))
        filters = {"box": box, "noun": noun, "source": source, "tag": tag}
        fields = {name: value for name, value in filters.items() if value is not None}
        url = f"{self.segmenter}/v1/retrieve"
        asked = Request("POST", url, data=fields | {"limit": limit}, files=upload(image))
        return read(RetrievalBody, (yield from self._ask(asked)))

    def vocabulary(
        self, part: str = "", *, limit: int = 50, offset: int = 0
    ) -> Flow[VocabularyBody]:
        """Nouns that a text is part of, those first that start with it, and of most pictures."""
        params = {"q": part, "limit": limit, "offset": offset}
        asked = Request("GET", f"{self.segmenter}/v1/vocabulary", params=params)
        return read(VocabularyBody, (yield from self._ask(asked)))

    def noun(self, name: str) -> Flow[NounDetailBody]:
        """A noun of the dictionary with its prototypes and their exemplars."""
        asked = Request("GET", f"{self.segmenter}/v1/vocabulary/{_escaped(name)}")
        return read(NounDetailBody, (yield from self._ask(asked)))

    def about(self) -> Flow[AboutBody]:
        """The release that answers, and the size of its dictionary."""
        asked = Request("GET", f"{self.segmenter}/v1/about")
        return read(AboutBody, (yield from self._ask(asked)))

    def add(
        self,
        image: Image,
        captions: str | Sequence[str],
        *,
        id: str | None = None,
        source: str = "",
        tags: Sequence[str] = (),
    ) -> Flow[str]:
        """Have a captioned picture indexed; the arguments are those of `Pair`.

        Returns:
            The job that does it, which is safe on the indexer's disk: see `wait`.
        """
        body = pair_body(Pair(image, captions, id, source, tags)).model_dump_json()
        return (yield from self._add([body]))

    def add_many(self, pairs: Iterable[Pair]) -> Flow[list[str]]:
        """Have captioned pictures indexed, in requests of bounded size; memory stays flat.

        After an error all of them can be sent again: pictures that are there already stay as they
        are.

        Returns:
            The jobs that do it.
        """
        jobs = []
        for bodies in batches(pairs):
            jobs.append((yield from self._add(bodies)))
        return jobs

    def _add(self, pairs: list[str]) -> Flow[str]:
        content = f'{{"pairs":[{",".join(pairs)}]}}'.encode()
        headers = {"Content-Type": "application/json"}
        asked = Request("POST", f"{self.indexer}/v1/pairs", headers=headers, content=content)
        return read(AcceptedBody, (yield from self._ask(asked))).job

    def job(self, id: str) -> Flow[JobBody]:
        """The state of a job."""
        asked = Request("GET", f"{self.indexer}/v1/jobs/{_escaped(id)}")
        return read(JobBody, (yield from self._ask(asked)))

    def wait(self, job: str, *, timeout: float = 600.0) -> Flow[JobBody]:
        """Wait until a job is done or has failed, looking at it less and less often.

        Raises:
            NotDone: it is at work after `timeout` seconds.
        """
        end = time.monotonic() + timeout
        seconds = FIRST_PAUSE
        while True:
            state = yield from self.job(job)
            if state.state in ("done", "failed"):
                return state
            if time.monotonic() + seconds > end:
                raise NotDone(state, timeout)
            yield Pause(seconds)
            seconds = min(2 * seconds, LONGEST_PAUSE)

    def remove_image(self, id: str) -> Flow[str]:
        """Have a picture removed, as if it had never been indexed; answers the job."""
        return (yield from self._remove(f"images/{_escaped(id)}"))

    def remove_source(self, name: str) -> Flow[str]:
        """Have all pictures of a source removed; answers the job."""
        return (yield from self._remove(f"sources/{_escaped(name)}"))

    def _remove(self, what: str) -> Flow[str]:
        asked = Request("DELETE", f"{self.indexer}/v1/{what}")
        return read(AcceptedBody, (yield from self._ask(asked))).job

    def _ask(self, request: Request) -> Flow[httpx.Response]:
        return ask(request, patience=self.patience)


def _fields(
    classes: str | Sequence[str],
    fusion: Fusion,
    background: BackgroundMode,
    threshold: float,
    refine: bool,
) -> dict[str, Any]:
    return {
        "classes": classes if isinstance(classes, str) else ", ".join(classes),
        "fusion": fusion,
        "background": background,
        "threshold": threshold,
        "refine": refine,
    }


def _escaped(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="")
