"""Routes that read the dictionary: near regions, nouns, counts."""

import base64
import io
import json

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from captionary.schemas.bodies import AboutBody, NounDetailBody, RetrievalBody, VocabularyBody
from captionary.serving.api_keys import Keys
from captionary.vision.pictures.loading import load_picture
from captionary.vocabulary.centring import centred
from tests.segmenter.service.served import (
    PICTURES,
    FilledDictionary,
    assert_problem,
    post_picture,
    running_service,
    wait_until,
)

READ = "this-key-may-only-read"


def retrieved(
    client: TestClient, filled: FilledDictionary, number: int, **fields: object
) -> RetrievalBody:
    response = post_picture(client, filled.picture(number), path="retrieve", **fields)
    assert response.status_code == 200, response.text
    return RetrievalBody.model_validate(response.json())


def image_id(filled: FilledDictionary, number: int) -> str:
    path = str(filled.picture(number))
    return next(item.id for item in filled.dictionary.pictures() if item.image.endswith(path))


def listed(client: TestClient, query: str = "") -> VocabularyBody:
    response = client.get(f"/v1/vocabulary{query}")
    assert response.status_code == 200, response.text
    return VocabularyBody.model_validate(response.json())


def pixels_of(thumbnail: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(base64.b64decode(thumbnail))) as image:
        assert image.format == "JPEG"
        return np.asarray(image)


@pytest.mark.parametrize("number", [0, 7])
def test_a_picture_of_the_dictionary_finds_itself(
    client: TestClient, filled: FilledDictionary, number: int
) -> None:
    found = retrieved(client, filled, number, limit=5)

    first = found.regions[0]
    stored = filled.dictionary.picture(image_id(filled, number))
    assert stored is not None
    assert (first.image_id, first.box, first.area) == (stored.id, [0, 0, 96, 96], 1)
    assert first.similarity == pytest.approx(1, abs=1e-4)
    assert first.captions == list(stored.captions)
    assert [len(found.nouns), len(found.regions)] == [5, 5]
    for near in (found.nouns, found.regions):
        similarities = [item.similarity for item in near]
        assert similarities == sorted(similarities, reverse=True)
    assert found.revision == filled.dictionary.revision


def test_a_box_finds_the_regions_that_fill_it(client: TestClient, filled: FilledDictionary) -> None:
    """A region that fills its box, as layers of ground do, looks the same as the box."""
    stored = filled.dictionary.picture(image_id(filled, 3))
    assert stored is not None
    table = filled.dictionary.region_tables([stored])[0]
    boxes = table.boxes_xyxy.astype(np.int64)
    extent = table.areas * 96 * 96 / np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    index = max(range(1, len(table)), key=lambda row: (extent[row], table.areas[row]))
    box = boxes[index].tolist()

    found = retrieved(client, filled, 3, box=" , ".join(map(str, box)), limit=3)

    assert extent[index] > 0.9
    assert found.regions[0].similarity > 0.99
    assert found.regions[0].image_id == stored.id
    assert box in [region.box for region in found.regions]


def test_near_nouns_are_those_of_the_prototypes_as_segmenting_compares_them(
    client: TestClient, filled: FilledDictionary
) -> None:
    models = filled.models
    retriever = filled.segmenter.retriever
    assert retriever is not None
    picture = load_picture(filled.picture(20))
    whole = models.extractor.extract(picture).table.vectors[0]
    common = retriever.common_parts().vector
    matrix = retriever.matrix(retriever.nouns())
    similarity = matrix.vectors @ centred(whole[None], common)[0]
    best: dict[str, float] = {}
    for prototype, value in zip(matrix.prototypes, similarity.tolist(), strict=True):
        best[prototype.noun] = max(value, best.get(prototype.noun, -1))

    found = retrieved(client, filled, 20, limit=100).nouns

    assert len(best) < 100
    assert {item.noun: item.similarity for item in found} == pytest.approx(best, abs=1e-5)
    similarities = [item.similarity for item in found]
    assert similarities == sorted(similarities, reverse=True)
    few = retrieved(client, filled, 20, limit=2).nouns
    assert few == found[:2]


def test_what_is_found_can_be_narrowed(client: TestClient, filled: FilledDictionary) -> None:
    noun = listed(client).nouns[0].noun

    of_noun = retrieved(client, filled, 20, noun=noun, limit=4)
    of_source = retrieved(client, filled, 20, source="elsewhere")
    of_tag = retrieved(client, filled, 20, tag="none")
    unknown = retrieved(client, filled, 20, noun="zeppelin")

    assert [item.noun for item in of_noun.nouns] == [noun]
    assert of_noun.regions
    assert all(noun in region.nouns for region in of_noun.regions)
    assert (of_source.regions, of_tag.regions) == ([], [])
    assert of_source.nouns == of_tag.nouns != []
    assert (unknown.nouns, unknown.regions) == ([], [])


def test_a_region_comes_with_its_part_of_the_picture(
    client: TestClient, filled: FilledDictionary
) -> None:
    whole, *parts = retrieved(client, filled, 0, limit=20).regions

    original = load_picture(filled.picture(0)).pixels.astype(int)
    shown = pixels_of(whole.thumbnail)
    assert shown.shape == (96, 96, 3)
    assert np.abs(shown - original).mean() < 12
    small = next(region for region in parts if region.area < 0.2)
    assert pixels_of(small.thumbnail).size < shown.size


def test_nouns_are_listed_by_how_many_pictures_have_them(
    client: TestClient, filled: FilledDictionary
) -> None:
    entries = {entry.noun: entry for entry in filled.dictionary.entries()}

    body = listed(client)

    assert body.total == len(entries) == len(body.nouns)
    assert body.revision == filled.dictionary.revision
    pictures = [line.pictures for line in body.nouns]
    assert pictures == sorted(pictures, reverse=True)
    for line in body.nouns:
        entry = entries[line.noun]
        assert (line.pictures, line.regions) == (entry.pictures, entry.regions)
        assert line.prototypes == entry.prototypes


def test_nouns_are_listed_in_pages(client: TestClient) -> None:
    everything = listed(client)

    pages = [listed(client, f"?limit=4&offset={start}") for start in range(0, everything.total, 4)]

    assert [line for page in pages for line in page.nouns] == everything.nouns
    assert {page.total for page in pages} == {everything.total}
    assert listed(client, "?offset=123456789012345678901234567890").nouns == []


def test_nouns_are_found_by_a_part_those_that_start_with_it_first(client: TestClient) -> None:
    everything = [line.noun for line in listed(client).nouns]

    found = listed(client, "?q=%20A")

    names = [line.noun for line in found.nouns]
    assert sorted(names) == sorted(noun for noun in everything if "a" in noun)
    starting = [noun for noun in everything if noun.startswith("a")]
    assert names[: len(starting)] == starting != names
    assert found.total == len(names)
    assert listed(client, "?q=zeppelin").nouns == []


def test_a_noun_is_shown_with_its_prototypes(client: TestClient, filled: FilledDictionary) -> None:
    line = next(line for line in listed(client).nouns if line.prototypes > 0)

    body = NounDetailBody.model_validate(client.get(f"/v1/vocabulary/{line.noun}").json())

    assert body.model_dump(exclude={"looks", "revision"}) == line.model_dump()
    prototypes = filled.dictionary.prototypes([line.noun])
    assert [look.number for look in body.looks] == [item.number for item in prototypes]
    exemplar, stored = body.looks[0].exemplars[0], prototypes[0].exemplars[0]
    assert base64.b64decode(exemplar.thumbnail) == stored.thumbnail
    assert exemplar.caption == stored.caption
    assert exemplar.box == list(stored.box_xyxy)


def test_every_noun_of_the_list_can_be_shown(client: TestClient) -> None:
    nouns = [line.noun for line in listed(client).nouns]

    assert any(" " in noun for noun in nouns)
    for noun in nouns:
        assert client.get(f"/v1/vocabulary/{noun}").json()["noun"] == noun


@pytest.mark.parametrize("name", ["Teddy_Bears", "teddy-bear", "the teddy bear", "teddybear"])
def test_a_noun_is_found_in_any_spelling(
    client: TestClient, filled: FilledDictionary, name: str
) -> None:
    assert client.get(f"/v1/vocabulary/{name}").json()["noun"] == "teddy bear"
    assert [line.noun for line in listed(client, f"?q={name}").nouns] == ["teddy bear"]
    near = retrieved(client, filled, 20, noun=name, limit=4)
    assert near == retrieved(client, filled, 20, noun="teddy bear", limit=4)
    assert near.regions


def test_a_part_of_a_noun_may_be_in_any_spelling(client: TestClient) -> None:
    assert [line.noun for line in listed(client, "?q=TEDDY_b").nouns] == ["teddy bear"]


@pytest.mark.parametrize("noun", ["zeppelin", "", "a/b", "..%2f..", "%00", "x" * 3000])
def test_an_unknown_noun_is_not_there(client: TestClient, noun: str) -> None:
    assert "the dictionary has no noun" in assert_problem(client.get(f"/v1/vocabulary/{noun}"), 404)


def test_about_tells_what_there_is(client: TestClient, filled: FilledDictionary) -> None:
    stats = filled.dictionary.stats()

    body = AboutBody.model_validate(client.get("/v1/about").json())

    assert (body.version, body.indexer, body.keys) == ("1", None, False)
    assert body.fingerprint == filled.models.extractor.fingerprint
    assert (body.images, body.regions) == (PICTURES, stats.regions)
    assert (body.nouns, body.prototypes) == (stats.nouns, stats.prototypes)
    assert body.revision == stats.revision


def test_about_tells_no_counts_to_who_may_not_read(filled: FilledDictionary) -> None:
    with running_service(lambda: filled.segmenter, keys=Keys(read=(READ,)), indexer="") as client:
        nobody = AboutBody.model_validate(client.get("/v1/about").json())
        known = AboutBody.model_validate(
            client.get("/v1/about", headers={"X-API-Key": READ}).json()
        )
        wrong = client.get("/v1/about", headers={"X-API-Key": "x" * 20})

    assert (nobody.keys, nobody.indexer) == (True, "")
    assert (nobody.images, nobody.nouns, nobody.revision, nobody.fingerprint) == (0, 0, 0, "")
    assert known.images == PICTURES
    assert "may not do that" in assert_problem(wrong, 403)


def test_figures_tell_the_size_of_the_dictionary(
    client: TestClient, filled: FilledDictionary
) -> None:
    post_picture(client, filled.picture(20), fusion="text")
    stats = filled.dictionary.stats()
    revision = f"captionary_revision {float(stats.revision)}\n"
    wait_until(lambda: revision in client.get("/metrics").text)  # counted beside the requests

    lines = client.get("/metrics").text.splitlines()

    assert f'captionary_dictionary{{kind="images"}} {float(PICTURES)}' in lines
    assert f'captionary_dictionary{{kind="prototypes"}} {float(stats.prototypes)}' in lines
    assert f"captionary_revision {float(stats.revision)}" in lines
    assert "captionary_queue 0.0" in lines
    for stage in ("wait", "decode", "regions", "label", "encode"):
        counted = f'captionary_stage_seconds_count{{stage="{stage}"}} '
        assert any(line.startswith(counted) and not line.endswith(" 0.0") for line in lines)


def test_the_document_of_the_routes_names_what_may_be_sent_and_answered(
    client: TestClient,
) -> None:
    document = client.get("/openapi.json").json()

    segment = document["paths"]["/v1/segment"]["post"]
    assert set(segment["responses"]["200"]["content"]) == {
        "application/json",
        "image/png",
        "image/jpeg",
    }
    form = segment["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert segment["requestBody"]["required"] is True
    assert form["required"] == ["image", "classes"]
    assert all("description" in field for field in form["properties"].values())
    assert "application/problem+json" in segment["responses"]["default"]["content"]
    assert "/page/{path}" not in json.dumps(document)
