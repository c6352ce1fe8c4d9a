import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, jaccard_score

from captionary.schemas.labels import IGNORE
from captionary.segmenter.confusion import ConfusionMatrix, evaluation_json

NAMES = ("cat", "dog", "sky", "tree")


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 4))
def test_equals_scikit_learn(seed: int, pictures: int, used: int) -> None:
    rng = np.random.default_rng(seed)
    matrix, truths, predictions = ConfusionMatrix(NAMES), [], []
    for _ in range(pictures):
        truth = rng.integers(0, used, (5, 6)).astype(np.int32)
        truth[rng.random(truth.shape) < 0.2] = IGNORE
        truth[0, 0] = 0
        predicted = rng.integers(0, used, truth.shape).astype(np.int32)
        matrix.add(truth, predicted)
        truths.append(truth[truth != IGNORE])
        predictions.append(predicted[truth != IGNORE])
    true, guessed = np.concatenate(truths), np.concatenate(predictions)
    labels = np.arange(len(NAMES))
    np.testing.assert_array_equal(
        matrix.counts[:, :-1], confusion_matrix(true, guessed, labels=labels)
    )
    present = np.union1d(true, guessed)
    expected = jaccard_score(true, guessed, labels=present, average=None)
    np.testing.assert_allclose(matrix.iou[present], expected)
    assert np.isnan(np.delete(matrix.iou, present)).all()
    assert matrix.miou == pytest.approx(expected.mean())
    assert matrix.pixel_accuracy == pytest.approx((true == guessed).mean())


def test_a_prediction_of_none_of_the_classes_is_a_miss() -> None:
    matrix = ConfusionMatrix(NAMES[:2])
    matrix.add(np.array([[0, 0, 1, IGNORE]], np.int32), np.array([[0, 2, 9, 2]], np.int32))
    np.testing.assert_array_equal(matrix.counts, [[1, 0, 1], [0, 0, 1]])
    np.testing.assert_allclose(matrix.iou, [0.5, 0.0])
    assert matrix.pixel_accuracy == pytest.approx(1 / 3)


def test_nothing_counted_yet() -> None:
    matrix = ConfusionMatrix(NAMES)
    matrix.add(np.full((2, 2), IGNORE, np.int32), np.zeros((2, 2), np.int32))
    assert math.isnan(matrix.miou)
    assert math.isnan(matrix.pixel_accuracy)


def test_what_cannot_be_counted() -> None:
    matrix = ConfusionMatrix(NAMES)
    zeros = np.zeros((2, 2), np.int32)
    with pytest.raises(ValueError, match="truth is \\(2, 2\\) but predicted is \\(1, 2\\)"):
        matrix.add(zeros, zeros[:1])
    for truth, predicted in ((zeros + 4, zeros), (zeros - 2, zeros), (zeros, zeros - 1)):
        with pytest.raises(ValueError, match="class indices must be in"):
            matrix.add(truth, predicted)


def test_json_has_null_where_there_is_no_figure() -> None:
    matrix = ConfusionMatrix(NAMES[:3])
    matrix.add(np.array([[0, 0]], np.int32), np.array([[0, 1]], np.int32))
    text = json.dumps(
        evaluation_json(matrix, images=4, seconds=2.0, settings={"fusion": "both"}),
        allow_nan=False,
    )
    assert json.loads(text) == {
        "miou": 0.25,
        "pixel_accuracy": 0.5,
        "iou": {"cat": 0.5, "dog": 0.0, "sky": None},
        "images": 4,
        "seconds_per_image": 0.5,
        "left_out": [],
        "notes": [],
        "settings": {"fusion": "both"},
    }
