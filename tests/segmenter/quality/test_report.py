"""What the report finds of a dictionary whose captions are known to be right or wrong."""

import json
import re

import numpy as np
import pytest

from captionary.segmenter.quality import calibration
from captionary.segmenter.quality.calibration import calibrate
from captionary.segmenter.quality.leave_one_out import Examination, examine
from captionary.segmenter.quality.report import lacking_falls, report_of
from captionary.segmenter.quality.report_page import page_of
from captionary.segmenter.quality.separation import unsupported
from captionary.segmenter.region_scores import Weights
from captionary.vocabulary.retrieval import Retriever
from tests.segmenter.quality.small_world import NOUNS, NoisyText, shown, world

PICTURES = 90
TEXT = NoisyText()
MISPLACED = "quill"


def misplaced() -> dict[int, list[str]]:
    """Captions in which one noun stands in other pictures than those that show it."""
    having = [number for number in range(PICTURES) if MISPLACED in shown(number)]
    lacking = [number for number in range(PICTURES) if MISPLACED not in shown(number)]
    captions = {n: [noun for noun in shown(n) if noun != MISPLACED] for n in having}
    return captions | {n: [*shown(n), MISPLACED] for n in lacking[:: 90 // len(having)]}


@pytest.fixture(scope="module")
def right() -> Examination:
    return examine(Retriever(world(PICTURES)), TEXT)


@pytest.fixture(scope="module")
def wrong() -> Examination:
    return examine(Retriever(world(PICTURES, captions=misplaced())), TEXT)


def test_nouns_that_captions_use_rightly_are_told_apart(right: Examination) -> None:
    report = report_of(right)

    assert {item.noun for item in report.nouns} == set(NOUNS)
    assert report.separation > 0.9
    assert not any(item.doubtful for item in report.nouns if item.separation > 0.95)
    assert len(report.unsupported) < 0.1 * 3 * PICTURES


def test_a_noun_in_the_wrong_captions_is_doubtful(wrong: Examination) -> None:
    report = report_of(wrong)

    assert report.nouns[0].noun == MISPLACED
    assert report.nouns[0].doubtful
    assert report.nouns[0].separation < 0.75
    assert report.nouns[0].confused
    assert MISPLACED in {item.noun for item in report.next[:3]}


def test_captions_of_another_picture_are_unsupported() -> None:
    swapped = {number: shown((number + 5) % 15) for number in range(15)}
    found = examine(Retriever(world(PICTURES, captions=swapped)), TEXT)
    bad = {f"p{number:03d}" for number in swapped if set(swapped[number]) != set(shown(number))}
    tags = unsupported(found)
    in_bad = [image_id in bad for _, image_id in tags]

    assert sum(in_bad) > 0.5 * sum(len(swapped[int(name[1:])]) for name in bad)
    assert np.mean(in_bad) > 0.7
    worst = [item.image_id for item in report_of(found).pictures]
    assert np.mean([image_id in bad for image_id in worst]) > 0.7


def test_a_noun_lacks_less_the_more_regions_it_has() -> None:
    regions = np.array([2, 4, 8, 16, 32])
    lacking = 0.4 * 0.8 ** np.log2(regions)

    assert lacking_falls((1 - lacking).astype(np.float32), regions) == pytest.approx(0.2, abs=1e-4)
    assert lacking_falls((1 - lacking[::-1]).astype(np.float32), regions) == 0


def test_the_report_goes_through_json(wrong: Examination) -> None:
    plain = report_of(wrong).to_json()

    assert json.loads(json.dumps(plain)) == plain
    assert plain["nouns"][0]["noun"] == MISPLACED
    assert "thumbnails" not in plain


def test_the_page_needs_nothing_else(wrong: Examination) -> None:
    report = report_of(wrong)
    page = page_of(report)

    assert page.count("<img") > len(report.nouns)
    assert "$" not in page
    assert not re.search(r"(?:https?:)?//|<script|<link|@import|url\(", page)
    assert set(re.findall(r'src="([^,"]*)', page)) == {"data:image/jpeg;base64"}
    assert page.index(MISPLACED) < page.index("</table>")


def test_noise_changes_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "PROTOTYPES", (0.5, 0.9, 1.0))
    monkeypatch.setattr(calibration, "CAPTIONS", (0.0, 0.2, 0.8))
    found = examine(Retriever(world(40, told=0.0)), TEXT)
    result = calibrate(found)

    assert result.pictures == 40
    assert not result.changed
    assert result.weights == Weights(TEXT.logit_scale)
    assert result.score_after == result.score_before


def test_few_pictures_change_no_weights() -> None:
    found = examine(Retriever(world(29)), TEXT)

    assert not calibrate(found).changed
