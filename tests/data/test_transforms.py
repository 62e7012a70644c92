"""Raw cells to tensors: the same values eager, in tf.data, and in any batch."""

import io

import numpy as np
import pytest
import tensorflow as tf
import tiny

from mm_keras.data import transforms

VOCABULARY = ["[PAD]", "[UNK]", "[START]", "[END]", "[MASK]", "play", "##ing", "##s", "the", "É", "e", "."]
TEXTS = ["the playing plays.", "", "  \t", "xyz the", "the " * 20, "É É", "THE"]


def tokens(texts, length=8, lowercase=True):
    return transforms.tokenize(tf.constant(texts), transforms.make_tokenizer(VOCABULARY, lowercase), length)


@pytest.mark.core
def test_texts_become_pieces_between_start_and_end():
    ids = tokens(TEXTS, 6).numpy()
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(
        ids,
        [
            [2, 8, 5, 6, 5, 3],  # Cut, and ended.
            [0] * 6,
            [0] * 6,
            [2, 1, 8, 3, 0, 0],
            [2, 8, 8, 8, 8, 3],
            [2, 10, 10, 3, 0, 0],  # The accent is stripped.
            [2, 8, 3, 0, 0, 0],
        ],
    )


def test_case_and_accents_stay_on_request():
    np.testing.assert_array_equal(tokens(["É THE"], 5, lowercase=False), [[2, 9, 1, 3, 0]])


def test_a_text_is_tokenized_alike_alone_in_a_batch_and_in_a_dataset():
    whole = tokens(TEXTS).numpy()
    tokenizer = transforms.make_tokenizer(VOCABULARY, True)

    def one(text):
        return transforms.tokenize(text[None], tokenizer, 8)[0]

    mapped = tf.data.Dataset.from_tensor_slices(TEXTS).map(one)
    for text, row, x in zip(TEXTS, whole, mapped, strict=True):
        np.testing.assert_array_equal(x, row, err_msg=text)
        np.testing.assert_array_equal(tokens([text])[0], row, err_msg=text)


def test_tokens_read_as_text_up_to_their_end():
    ids = tf.constant([[2, 8, 5, 6, 11, 3, 8], [2, 8, 0, 5, 5, 5, 5], [0] * 7, [2, 4, 8, 1, 5, 7, 3]])
    read = transforms.detokenize(ids, VOCABULARY)
    assert read.numpy().tolist() == [b"the playing.", b"the", b"", b"the plays"]


def test_marks_of_punctuation_stand_with_their_words():
    words = ["a", "(", "b", ")", ",", "isn", "'", "t", "-", "!", "##s"]
    vocabulary = [*VOCABULARY[:5], *words]
    ids = {word: 5 + place for place, word in enumerate(words)}
    texts = {
        "a ( b ) , a !": b"a (b), a!",
        "isn ' t a - b": b"isn't a-b",
        "a ##s , b": b"as, b",
        "a - , a": b"a -, a",
    }
    rows = [[ids[word] for word in text.split()] for text in texts]
    padded = tf.constant([row + [0] * (9 - len(row)) for row in rows])
    assert transforms.detokenize(padded, vocabulary).numpy().tolist() == [*texts.values()]


@pytest.mark.parametrize(
    ("draw", "texts"),
    [(0.0, ["a b", "", "c", "x"]), (0.5, ["a b", "", "e", "x"]), (0.99, ["a b", "", "f g", "x"])],
)
def test_one_caption_of_a_cell_is_chosen(draw, texts):
    cells = tf.constant(["a b", " | ", "c|e| |f g", "|x"])

    def choose(cells):
        return tf.strings.strip(transforms.choose_caption(cells, "|", tf.fill([tf.size(cells)], draw)))

    assert [text.decode() for text in choose(cells).numpy()] == texts
    mapped = tf.data.Dataset.from_tensor_slices(cells).batch(3).map(choose).unbatch()
    assert [text.decode() for text in mapped.as_numpy_iterator()] == texts
    np.testing.assert_array_equal(transforms.choose_caption(cells, None, tf.zeros([4])), cells)


@pytest.mark.parametrize(("name", "shape"), [("image", (8, 8, 3)), ("audio", (800,)), ("vec", (6,))])
def test_no_bytes_give_zeros(name, shape):
    modality = tiny.tiny_spec("m.csv").modalities[name]
    for served in (False, True):
        x = transforms.decode_cell(tf.constant(""), modality, 100, served)
        np.testing.assert_array_equal(x, np.zeros(shape))
        assert x.dtype == (tf.uint8 if name == "image" else tf.float32)


@pytest.mark.core
@pytest.mark.slow
@pytest.mark.parametrize("name", ["image", "audio", "vec"])
def test_a_file_decodes_alike_eager_and_in_a_dataset(tiny_manifest, name):
    modality = tiny.tiny_spec(tiny_manifest).modalities[name]
    suffix = {"image": "png", "audio": "wav", "vec": "npy"}[name]
    contents = [(tiny_manifest.parent / f"{name}/{row}.{suffix}").read_bytes() for row in (1, 2, 3)]

    def decode(x, served=False):
        return transforms.decode_cell(x, modality, 10_000, served)

    mapped = tf.data.Dataset.from_tensor_slices(contents).map(decode)
    for x, row in zip(contents, mapped, strict=True):
        assert np.std(row) > 0
        for served in (False, True):
            np.testing.assert_allclose(decode(tf.constant(x), served), row, atol=1e-6)


def test_reasons_are_sentences_without_graph_nodes():
    file = io.BytesIO()
    np.save(file, np.ones(3, "float32"))
    modality = tiny.tiny_spec("m.csv").modalities["vec"]

    @tf.function
    def decode(contents):
        return transforms.decode_cell(contents, modality, 1)

    for call in (decode, lambda x: transforms.decode_cell(x, modality, 1)):
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            call(tf.constant(file.getvalue()))
        assert transforms.reason_of(caught.value) == (
            "`decode_features` expects an array of shape [6]. Received: shape [3]. "
            "Write the array in this shape, or change `shape` in the spec."
        )
