import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.schemas.errors import WrongInput
from captionary.schemas.labels import IGNORE, MOST_LABELS, pack_labels, unpack_labels


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 255, 256, 361, MOST_LABELS]))
def test_labels_come_back(seed: int, count: int) -> None:
    labels = np.random.default_rng(seed).integers(IGNORE, count, (4, 5)).astype(np.int32)
    labels[0, :2] = IGNORE, count - 1
    packed = pack_labels(labels, count=count)
    assert packed.dtype == (np.uint8 if count <= 255 else np.uint16)
    np.testing.assert_array_equal(unpack_labels(packed), labels)
    assert unpack_labels(packed).dtype == np.int32


@pytest.mark.parametrize(
    ("kind", "values", "labels"),
    [
        (np.bool_, [0, 1], [0, 1]),
        (np.uint8, [0, 254, 255], [0, 254, IGNORE]),
        (np.uint16, [255, 256, 65534, 65535], [255, 256, 65534, IGNORE]),
        (np.int32, [255, 65535], [255, IGNORE]),  # Pillow before 11 reads 16-bit files so
    ],
)
def test_the_largest_value_of_a_file_is_no_label(
    kind: type, values: list[int], labels: list[int]
) -> None:
    assert unpack_labels(np.array([values]).astype(kind)).tolist() == [labels]


def test_more_labels_than_a_file_can_hold() -> None:
    with pytest.raises(WrongInput, match="there are 65536 classes, but a PNG can tell only 65535"):
        pack_labels(np.zeros((1, 1), np.int32), count=MOST_LABELS + 1)
