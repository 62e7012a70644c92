"""Raw cells -> model tensors: the same functions in training, evaluation and the served graph."""

import re

import tensorflow as tf
import tensorflow_text as tf_text

from mm_keras.data.decode import decode_audio, decode_features, decode_image, decode_wav
from mm_keras.data.graph_check import require

RESERVED_TOKENS = ("[PAD]", "[UNK]", "[START]", "[END]", "[MASK]")
START, END = RESERVED_TOKENS.index("[START]"), RESERVED_TOKENS.index("[END]")
PUNCTUATION = ((r" ([,.;:!?%)\]}])", r"\1"), (r"([(\[{]) ", r"\1"), (r"(\w) (['’/-]) (\w)", r"\1\2\3"))
FILE_KINDS = ("image", "audio", "features")
TRACE = re.compile(r'\s*(?:File "|Graph execution error:|Detected at node|at node|\[\[)')


def make_tokenizer(vocabulary, lowercase):
    """Returns the tokenizer of a WordPiece vocabulary, a list of tokens whose ids are their positions."""
    return tf_text.FastBertTokenizer(
        vocab=list(vocabulary),
        token_out_type=tf.int32,
        unknown_token="[UNK]",
        lower_case_nfd_strip_accents=lowercase,
    )


def tokenize(texts, tokenizer, length):
    """Turns UTF-8 texts `(B,)` into token ids, int32 `(B, length)`: start token, pieces, end token, zeros.

    A text that is too long is cut and ends with the end token; a blank one is all zeros.
    """
    pieces = tokenizer.tokenize(texts)[:, : length - 2]
    ends = tf.ones_like(texts, tf.int32)[:, None]
    ids = tf.concat([START * ends, pieces, END * ends], axis=1).to_tensor(shape=[None, length])
    return tf.where(is_text(texts)[:, None], ids, 0)


def is_text(texts):
    """Returns bool `(B,)`: whether a text has any character but white space."""
    return tf.strings.strip(texts) != ""


def detokenize(ids, vocabulary):
    """Turns token ids `(B, T)` into texts `(B,)`: up to the end token or padding, word pieces joined, and
    marks of punctuation to the words that they belong to."""
    ends = tf.logical_or(ids == END, ids == 0)
    read = tf.math.cumsum(tf.cast(ends, tf.int32), axis=1) == 0
    read = tf.logical_and(read, ids >= len(RESERVED_TOKENS))
    words = tf.where(read, tf.gather(tf.constant(list(vocabulary)), ids), "")
    joined = tf.strings.reduce_join(words, axis=1, separator=" ")
    joined = tf.strings.regex_replace(tf.strings.regex_replace(joined, r"\s+", " "), r" ##", "")
    for pattern, text in PUNCTUATION:
        joined = tf.strings.regex_replace(joined, pattern, text)
    return tf.strings.strip(joined)


def choose_caption(cells, separator, draws):
    """Returns one of the captions of each cell, string `(B,)`; "" of a cell of none.

    Args:
        cells: string tensor `(B,)`.
        separator: str or None. Between the captions of a cell; None: a cell is one caption.
        draws: float tensor `(B,)` in [0, 1). Which of them; 0 is the first.
    """
    if separator is None:
        return cells
    parts = tf.strings.split(cells, separator)
    parts = tf.ragged.boolean_mask(parts, tf.strings.strip(parts) != "")
    counts = parts.row_lengths()
    places = tf.cast(draws * tf.cast(counts, tf.float32), counts.dtype)
    texts = tf.concat([parts.flat_values, [""]], axis=0)  # The last stands for none.
    none = tf.cast(tf.size(texts) - 1, counts.dtype)
    return tf.gather(texts, tf.where(counts > 0, parts.row_starts() + places, none))


def read_file(path):
    """Returns the bytes of the file at `path`, a string scalar.

    An empty file is refused: empty bytes stand for a missing modality.
    """
    contents = tf.io.read_file(path)
    fix = "Write the file again, whole."
    held = require("read_file", (contents != "", "a file that holds something", "an empty file", (), fix))
    with tf.control_dependencies([held]):
        return tf.identity(contents)


def read_unless_empty(path):
    """Returns the bytes of the file at `path`, a string scalar; "" of "", which is not read."""
    return tf.cond(path == "", lambda: tf.constant(""), lambda: read_file(path))


def decode_cell(contents, modality, max_pixels, served=False, max_samples=64 * 2**20):
    """Decodes one file's bytes, a string scalar, as its modality wants it; "" gives zeros.

    An image stays uint8 (a quarter of the memory), the others are float32. With `served`, audio is WAV:
    the graph then holds operators of TensorFlow alone.
    """
    return decode_unless_empty(contents, lambda x: x, modality, max_pixels, served, max_samples)


def decode_unless_empty(cell, read, modality, max_pixels, served=False, max_samples=64 * 2**20):
    """Decodes `read(cell)` as `decode_cell` does; the cell "" gives zeros and is not read."""
    shape = list(modality.example_shape)

    def decode():
        contents = read(cell)
        if modality.kind == "image":
            return decode_image(contents, *shape, max_pixels)
        if modality.kind == "audio":
            decode_sound = decode_wav if served else decode_audio
            return decode_sound(contents, modality.rate, modality.samples, max_samples)
        return decode_features(contents, shape)

    dtype = tf.uint8 if modality.kind == "image" else tf.float32
    return tf.ensure_shape(tf.cond(cell == "", lambda: tf.zeros(shape, dtype), decode), shape)


def reason_of(error):
    """Returns the sentence of a TensorFlow error, without the graph nodes and source lines around it."""
    text = getattr(error, "message", None) or str(error)
    text = "\n".join(line for line in text.splitlines() if not TRACE.match(line))
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]|\s*name:\s*$", "", text, flags=re.DOTALL)
    text = text.replace("assertion failed:", "").replace("<stack traces unavailable>", "")
    return re.sub(r"\s+", " ", text).strip(" []'\"")
