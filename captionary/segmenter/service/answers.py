"""The work of a request, in one thread from the uploaded bytes to the bytes of the answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from captionary.schemas.classes import ClassName
from captionary.schemas.segmentation import Segmentation
from captionary.segmenter.outputs import class_map_png, overlay_jpeg, segmentation_json
from captionary.segmenter.service.forms import (
    MEDIA_TYPES,
    AnswerFormat,
    RetrieveForm,
    SegmentForm,
    read_upload,
)
from captionary.segmenter.service.live import Live, told_as_busy
from captionary.segmenter.service.nearest import Wanted, embed_box, near_json, read_box
from captionary.serving.limits import Limits
from captionary.serving.metrics import Metrics
from captionary.vision.pictures.loading import LoadedPicture

LONGEST_HEADER = 2000
"""Characters: proxies refuse an answer whose headers outgrow 4 KiB, the least that is usual."""


@dataclass(frozen=True, slots=True)
class Answering:
    """Does the work, and times its parts."""

    limits: Limits
    metrics: Metrics

    def segment(
        self,
        live: Live,
        form: SegmentForm,
        classes: Sequence[ClassName],
        answer: AnswerFormat,
    ) -> Response:
        """Answer `POST /v1/segment`.

        Raises:
            UnreadablePicture: as `read_upload`.
            Problem: the dictionary is needed and cannot be read (503).
        """
        with self.metrics.stage("decode"):
            picture = read_upload(form.image, most_pixels=self.limits.pixels)
        if form.fusion != "text":
            with told_as_busy():
                live.catch_up()
        with self.metrics.stage("regions"):
            cut = live.segmenter.extractor.extract(picture)
        with self.metrics.stage("label"), told_as_busy():
            segmentation = live.segmenter.label(cut, classes, form.settings)
        with self.metrics.stage("encode"):
            return encoded(segmentation, picture, answer)

    def retrieve(self, live: Live, form: RetrieveForm) -> Response:
        """Answer `POST /v1/retrieve`.

        Raises:
            UnreadablePicture: as `read_upload`.
            WrongInput: as `read_box`.
            Problem: the dictionary cannot be read (503).
        """
        with self.metrics.stage("decode"):
            picture = read_upload(form.image, most_pixels=self.limits.pixels)
        height, width = picture.size_hw
        box = read_box(form.box or f"0,0,{width},{height}", size_hw=picture.size_hw)
        with told_as_busy():
            live.catch_up()
        with self.metrics.stage("regions"):
            vector = embed_box(live.segmenter.extractor, picture, box)
        wanted = Wanted(form.limit, form.noun, form.source, form.tag)
        with self.metrics.stage("label"), told_as_busy():
            near = near_json(live.retriever, vector, wanted)
        with self.metrics.stage("encode"):
            return JSONResponse(near)


def encoded(segmentation: Segmentation, picture: LoadedPicture, answer: AnswerFormat) -> Response:
    """A segmentation as a response; beside a picture its class names and revision as headers."""
    if answer == "json":
        return JSONResponse(segmentation_json(segmentation))
    if answer == "png":
        content = class_map_png(segmentation.class_map, segmentation.classes)
    else:
        content = overlay_jpeg(segmentation, picture.pixels)
    names = json.dumps(segmentation.classes)
    headers = {"X-Classes": names} if len(names) <= LONGEST_HEADER else {}
    if segmentation.revision is not None:
        headers["X-Revision"] = str(segmentation.revision)
    return Response(content, headers=headers, media_type=MEDIA_TYPES[answer])
