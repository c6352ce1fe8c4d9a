"""The calls of the services: a method for each route, which returns an exchange to carry out."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from captionary.client.errors import JobUnfinished
from captionary.client.exchange import (
    Exchange,
    Pause,
    Request,
    parse_body,
    parse_picture,
    send_with_retries,
)
from captionary.client.uploads import Image, Pair, encode_batches, encode_pair, form_file
from captionary.schemas.bodies import (
    AboutBody,
    AcceptedBody,
    JobBody,
    NounDetailBody,
    RetrievalBody,
    SegmentationBody,
    VocabularyBody,
)
from captionary.schemas.correction_bodies import HistoryBody
from captionary.schemas.corrections import CorrectionKind
from captionary.schemas.options import DEFAULT_FUSION, DEFAULT_THRESHOLD, BackgroundMode, Fusion

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two polls of a job: the first pause, which doubles up to the longest."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The routes of both services.

    segmenter, indexer: their addresses, without a slash at the end.
    retry_timeout:      seconds to go on retrying while a service is busy, in all.
    """

    segmenter: str
    indexer: str
    retry_timeout: float

    def segment(
        self,
        image: Image,
        classes: str | Sequence[str],
        *,
        fusion: Fusion = DEFAULT_FUSION,
        background: BackgroundMode = "none",
        threshold: float = DEFAULT_THRESHOLD,
        refine: bool = False,
        exact: bool = False,
        kinds: str | Mapping[str, Sequence[str]] = "",
        evidence: int = 0,
    ) -> Exchange[SegmentationBody]:
        """Segment a picture: a mask for every class, and the regions behind them.

        Args:
            image:      a path, bytes or a file.
            classes:    "road, sky, person: man | woman", or a list with one class an item.
            fusion:     what scores regions.
            background: what becomes of pixels that belong to no class.
            threshold:  background below this probability (threshold, auto), in [0, 1].
            refine:     sharper borders, by the picture's colours; slower.
            exact:      classes take the nouns that they name, and no kinds of them.
            kinds:      your own kinds: {"furniture": ["bench"]}, or "furniture: bench, sofa" lines.
            evidence:   prototypes named for each region, at most.
        """
        fields = _segment_fields(classes, fusion, background, threshold, refine, exact, kinds)
        request = self._segment_request(image, "json", fields | {"evidence": evidence})
        return parse_body(SegmentationBody, (yield from self._send(request)))

    def class_map(
        self,
        image: Image,
        classes: str | Sequence[str],
        *,
        fusion: Fusion = DEFAULT_FUSION,
        background: BackgroundMode = "none",
        threshold: float = DEFAULT_THRESHOLD,
        refine: bool = False,
        exact: bool = False,
        kinds: str | Mapping[str, Sequence[str]] = "",
    ) -> Exchange[bytes]:
        """Segment a picture into a PNG of indices into the classes; options as `segment`."""
        fields = _segment_fields(classes, fusion, background, threshold, refine, exact, kinds)
        request = self._segment_request(image, "png", fields)
        return parse_picture("image/png", (yield from self._send(request)))

    def overlay(
        self,
        image: Image,
        classes: str | Sequence[str],
        *,
        fusion: Fusion = DEFAULT_FUSION,
        background: BackgroundMode = "none",
        threshold: float = DEFAULT_THRESHOLD,
        refine: bool = False,
        exact: bool = False,
        kinds: str | Mapping[str, Sequence[str]] = "",
    ) -> Exchange[bytes]:
        """Segment a picture into a JPEG that shows its classes in colours; options as `segment`."""
        fields = _segment_fields(classes, fusion, background, threshold, refine, exact, kinds)
        request = self._segment_request(image, "overlay", fields)
        return parse_picture("image/jpeg", (yield from self._send(request)))

    def _segment_request(self, image: Image, format: str, fields: dict[str, Any]) -> Request:
        return Request(
            "POST",
            f"{self.segmenter}/v1/segment",
            data=fields | {"format": format},
            files=form_file(image),
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
    ) -> Exchange[RetrievalBody]:
        """Search the dictionary for what is most similar to a picture, or to a box of it.

        Args:
            image:    a path, bytes or a file.
            box_xyxy: x0, y0, x1, y1 in pixels, half-open; None: the whole picture.
            limit:    nouns, and regions, at most.
            noun, source, tag: only regions that have them.
        """
        box = None if box_xyxy is None else ",".join(map(str, box_xyxy))
        filters = {"box": box, "noun": noun, "source": source, "tag": tag}
        fields = {name: value for name, value in filters.items() if value is not None}
        url = f"{self.segmenter}/v1/retrieve"
        request = Request("POST", url, data=fields | {"limit": limit}, files=form_file(image))
        return parse_body(RetrievalBody, (yield from self._send(request)))

    def vocabulary(
        self, part: str = "", *, limit: int = 50, offset: int = 0
    ) -> Exchange[VocabularyBody]:
        """List the nouns that contain a text: those that start with it first, then by pictures.

        Args:
            part:   the text; empty: all nouns.
            limit:  nouns, at most.
            offset: nouns to skip.
        """
        params = {"q": part, "limit": limit, "offset": offset}
        request = Request("GET", f"{self.segmenter}/v1/vocabulary", params=params)
        return parse_body(VocabularyBody, (yield from self._send(request)))

    def noun(self, name: str) -> Exchange[NounDetailBody]:
        """A noun of the dictionary with its prototypes and their exemplars."""
        request = Request("GET", f"{self.segmenter}/v1/vocabulary/{_escaped(name)}")
        return parse_body(NounDetailBody, (yield from self._send(request)))

    def about(self) -> Exchange[AboutBody]:
        """The release of the service, and the size of its dictionary."""
        request = Request("GET", f"{self.segmenter}/v1/about")
        return parse_body(AboutBody, (yield from self._send(request)))

    def add(
        self,
        image: Image,
        captions: str | Sequence[str] = (),
        *,
        id: str | None = None,
        source: str = "",
        tags: Sequence[str] = (),
        regions: Sequence[Mapping[str, Any]] = (),
        replace: bool = False,
    ) -> Exchange[str]:
        """Have the indexer add a captioned picture; the other arguments are those of `Pair`.

        Args:
            replace: the captions take the place of those that the dictionary has of the picture.

        Returns:
            The id of the job that does it, which is safe on the indexer's disk: see `wait`.
        """
        pair = encode_pair(Pair(image, captions, id, source, tags, regions))
        return (yield from self._add([pair], replace))

    def add_many(self, pairs: Iterable[Pair], *, replace: bool = False) -> Exchange[list[str]]:
        """Have the indexer add captioned pictures, in requests of bounded size; memory stays flat.

        After an error all of them can be sent again: pictures that are there already stay as they
        are. With `replace` give all captions of a picture in one pair: each replaces the former.

        Returns:
            The ids of the jobs that do it, one for each request.
        """
        jobs = []
        for batch in encode_batches(pairs):
            jobs.append((yield from self._add(batch, replace)))
        return jobs

    def _add(self, pairs: list[str], replace: bool) -> Exchange[str]:
        # Joined by hand: the pairs are JSON already, and megabytes each.
        content = f'{{"pairs":[{",".join(pairs)}]}}'.encode()
        headers = {"Content-Type": "application/json"}
        url = f"{self.indexer}/v1/pairs{'?replace=true' if replace else ''}"
        request = Request("POST", url, headers=headers, content=content)
        return parse_body(AcceptedBody, (yield from self._send(request))).job

    def job(self, id: str) -> Exchange[JobBody]:
        """The state of a job."""
        request = Request("GET", f"{self.indexer}/v1/jobs/{_escaped(id)}")
        return parse_body(JobBody, (yield from self._send(request)))

    def wait(self, job: str, *, timeout: float = 600.0) -> Exchange[JobBody]:
        """Wait until a job is done or has failed, polling it less and less often.

        Raises:
            JobUnfinished: it is at work after `timeout` seconds.
        """
        end = time.monotonic() + timeout
        seconds = FIRST_PAUSE
        while True:
            state = yield from self.job(job)
            if state.state in ("done", "failed"):
                return state
            if time.monotonic() + seconds > end:
                raise JobUnfinished(state, timeout)
            yield Pause(seconds)
            seconds = min(2 * seconds, LONGEST_PAUSE)

    def remove_image(self, id: str) -> Exchange[str]:
        """Have a picture removed, as if it had never been indexed; returns the id of the job."""
        return (yield from self._remove(f"images/{_escaped(id)}"))

    def remove_source(self, name: str) -> Exchange[str]:
        """Have all pictures of a source removed; returns the id of the job."""
        return (yield from self._remove(f"sources/{_escaped(name)}"))

    def _remove(self, path: str) -> Exchange[str]:
        request = Request("DELETE", f"{self.indexer}/v1/{path}")
        return parse_body(AcceptedBody, (yield from self._send(request))).job

    def correct(
        self,
        kind: CorrectionKind,
        noun: str,
        *,
        other: str | None = None,
        image_id: str | None = None,
        region: int | None = None,
    ) -> Exchange[str]:
        """Have the dictionary corrected; returns the id of the job.

        Args:
            kind:  teach, refuse: a stored region is the noun, or is not; without a region it is
                nowhere in the picture. rename, merge, alias: it is called `other`, becomes a part
                of it, or has it as another name. block: it is no longer learned.
            other: of rename, merge and alias, a noun.
            image_id, region: of teach and refuse.
        """
        given = {"other": other, "image_id": image_id, "region": region}
        fields = {name: value for name, value in given.items() if value is not None}
        content = json.dumps({"kind": kind, "noun": noun} | fields).encode()
        headers = {"Content-Type": "application/json"}
        url = f"{self.indexer}/v1/corrections"
        request = Request("POST", url, headers=headers, content=content)
        return parse_body(AcceptedBody, (yield from self._send(request))).job

    def point(
        self,
        image: Image,
        noun: str,
        area: Mapping[str, Any],
        *,
        refused: bool = False,
        source: str = "",
    ) -> Exchange[str]:
        """Point at a noun in a picture, as a correction; returns the id of the job.

        Args:
            image:   a path, bytes or a file.
            area:    `{"box": [x, y, width, height]}`, or a polygon, or an rle.
            refused: it is not that noun.
            source:  of a picture that the dictionary has not yet.
        """
        fields = {"noun": noun, "region": json.dumps(dict(area)), "source": source}
        fields["not"] = "true" if refused else "false"
        url = f"{self.indexer}/v1/corrections"
        request = Request("POST", url, data=fields, files=form_file(image))
        return parse_body(AcceptedBody, (yield from self._send(request))).job

    def corrections(self) -> Exchange[HistoryBody]:
        """The corrections in force, oldest first."""
        request = Request("GET", f"{self.indexer}/v1/corrections")
        return parse_body(HistoryBody, (yield from self._send(request)))

    def undo(self, number: int) -> Exchange[str]:
        """Have a correction undone, as if it had never been said; returns the id of the job."""
        return (yield from self._remove(f"corrections/{number}"))

    def _send(self, request: Request) -> Exchange[httpx.Response]:
        return send_with_retries(request, timeout=self.retry_timeout)


def _segment_fields(
    classes: str | Sequence[str],
    fusion: Fusion,
    background: BackgroundMode,
    threshold: float,
    refine: bool,
    exact: bool,
    kinds: str | Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    return {
        # A list as JSON, as a name may have commas.
        "classes": classes
        if isinstance(classes, str)
        else json.dumps(list(classes), ensure_ascii=False),
        "fusion": fusion,
        "background": background,
        "threshold": threshold,
        "refine": refine,
        "exact": exact,
        "kinds": kinds if isinstance(kinds, str) else json.dumps(dict(kinds), ensure_ascii=False),
    }


def _escaped(name: str) -> str:
    """A name as one segment of a path, percent-encoded with its slashes."""
    return quote(name, safe="")
