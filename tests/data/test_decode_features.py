import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mm_keras.data.decode_features import decode_features

DTYPES = ["<f2", "<f4", "<f8", "|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8"]


def save(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), version)
    return file.getvalue()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("length", [2, 5, 7])
def test_sequences_are_cut_and_padded(dtype, order, length):
    array = np.asarray(np.random.default_rng(7).uniform(0, 127, (5, 3)).astype(dtype), order=order)
    expected = np.pad(array.astype(np.float32), ((0, 2), (0, 0)))[:length]
    np.testing.assert_array_equal(decode_features(save(array), [length, 3]), expected)


@pytest.mark.parametrize("dtype", ["|i1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "<f8"])
def test_the_limits_of_each_type_are_read(dtype):
    limits = np.finfo(np.float32) if dtype == "<f8" else np.iinfo(dtype)
    array = np.array([limits.min, limits.max], dtype)
    np.testing.assert_array_equal(decode_features(save(array), [2]), array.astype(np.float32))


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, 4, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_any_vector_is_read_exactly(array):
    np.testing.assert_array_equal(decode_features(save(array), [4]), array)


@pytest.mark.parametrize("shape", [[6], [3, 2]])
def test_the_plainest_file_reads_as_any_other(shape):
    array = np.random.default_rng(7).normal(size=shape).astype(np.float32)
    np.testing.assert_array_equal(decode_features(save(array), shape), array)
    np.testing.assert_array_equal(decode_features(save(array, (2, 0)), shape), array)
    turned = np.asfortranarray(array)
    np.testing.assert_array_equal(decode_features(save(turned), shape), array)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_is_read(version):
    np.testing.assert_array_equal(decode_features(save([1.0, 2.0], version), [2]), [1, 2])


def test_an_empty_sequence_is_zeros():
    np.testing.assert_array_equal(decode_features(save(np.zeros((0, 3))), [2, 3]), np.zeros((2, 3)))


def test_eager_map_and_batched_results_agree():
    files = [save(np.random.default_rng(i).normal(size=(i + 1, 3))) for i in range(4)]
    eager = np.stack([decode_features(contents, [3, 3]) for contents in files])
    mapped = tf.data.Dataset.from_tensor_slices(files).map(lambda contents: decode_features(contents, [3, 3]))
    assert mapped.element_spec.shape == (3, 3)
    batched = tf.function(
        lambda batch: tf.map_fn(lambda c: decode_features(c, [3, 3]), batch, fn_output_signature=tf.float32)
    )(tf.constant(files))
    np.testing.assert_array_equal(np.stack(list(mapped)), eager)
    np.testing.assert_array_equal(batched, eager)


HUGE = save(np.zeros((2, 2))).replace(b"(2, 2), }" + b" " * 11, b"(274877906944, 2), }")
HOSTILE = save(np.zeros((2, 2))).replace(b"(2, 2), }", b"(4294967296, 4294967296), }")


@pytest.mark.parametrize(
    ("contents", "shape", "expected"),
    [
        (b"", [3], "a .npy file of one array of numbers. Received: contents that begin with ``"),
        (b"PK\3\4" + b"0" * 99, [3], "a .npy file of one array"),
        (
            save(np.zeros(3))[:40],
            [3],
            "a .npy file of 128 bytes of header. Received: 40 bytes. The file is truncated",
        ),
        (save(np.zeros(3, np.float32))[:-1], [3], "Received: 11 bytes. The file is truncated"),
        (save(np.array([0, np.nan, 0], np.float32)), [3], "finite float32 numbers. Received: 1 values of 3"),
        (
            HUGE,
            [2, 2],
            "4398046511104 bytes of numbers, as its shape says. Received: 32 bytes. The file is truncated",
        ),
        (save(np.zeros(3)), [4], "an array of shape [4]. Received: shape [3]."),
        (save(np.zeros((1, 3))), [3], "an array of shape [3]. Received: shape [1 3]."),
        (save(np.zeros(())), [3], "an array of shape [3]. Received: shape []."),
        (save(np.zeros((5, 2))), [5, 3], "an array of shape [any length, 3]. Received: shape [5 2]."),
        (save(np.zeros(3, ">f4")), [3], "Received: descr=`>f4`."),
        (save(np.array(["abc"])), [1], "Received: descr=`<U3`."),
        (save(np.zeros(3))[:-1], [3], "24 bytes of numbers, as its shape says. Received: 23 bytes."),
        (save(np.zeros(3)) + b"0", [3], "Received: 25 bytes. The file is damaged"),
        (HOSTILE, [2, 2], "an array of shape [any length, 2]"),
        (save([1.0, np.nan, np.inf]), [3], "finite float32 numbers. Received: 2 values of 3"),
        (save([1.0, 1e300]), [2], "finite float32 numbers. Received: 1 values of 2"),
    ],
)
def test_bad_files_are_refused_eagerly_and_in_a_graph(contents, shape, expected):
    graph = tf.function(lambda contents: decode_features(contents, shape))
    for decode in (lambda contents: decode_features(contents, shape), graph):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            decode(tf.constant(contents))
        assert expected in str(error.value)
        assert "`decode_features` expects" in str(error.value)


def test_the_shape_is_checked():
    with pytest.raises(ValueError, match="`decode_features` expects `shape`"):
        decode_features(save(np.zeros(3)), [])
