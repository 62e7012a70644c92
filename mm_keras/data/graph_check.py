"""Refusals inside a graph: the wording of checks.py around values that are known only at run time."""

import tensorflow as tf

from mm_keras.checks import message

WHOLE = "The file is truncated: write or send it again, whole."


def require(owner, *checks):
    """Refuses unless every check holds; the first that fails gives the message.

    All checks cost one reduction and one branch; a message is only put together when one fails.

    Args:
        owner: str. Name of the public function that refuses.
        checks: tuples (holds, expected, received, tensors, fix). `holds` is a bool scalar; `expected`,
            `received` and `fix` are the three sentences of `checks.message`, in which each "{}" stands for
            one of `tensors`.

    Returns: bool scalar. Work that must not begin before the refusal takes it as a control dependency.
    Raises: tf.errors.InvalidArgumentError, at run time.
    """
    holds = tf.stack([check[0] for check in checks]) if len(checks) > 1 else checks[0][0]
    holds_all = tf.reduce_all(holds) if len(checks) > 1 else holds
    given = [tensor for check in checks for tensor in check[3]]

    def text(holds, *given):
        texts, given = [], list(given)
        for _, expected, received, tensors, fix in checks:
            values = tuple(_printable(given.pop(0)) for _ in tensors)
            texts.append(tf.strings.format(message(owner, expected, received, fix), values))
        first = tf.argmin(tf.cast(tf.reshape(holds, [-1]), tf.int32))
        # The assertion would show the quotation marks around bytes escaped.
        return tf.strings.regex_replace(tf.stack(texts)[first], r'\\?"', "`")

    if tf.executing_eagerly():
        if not holds_all:
            raise tf.errors.InvalidArgumentError(
                None, None, text(holds, *given).numpy().decode("utf-8", "replace")
            )
        return tf.constant(True)

    def refuse():
        written = outlined(text, holds, *given)
        with tf.control_dependencies([tf.debugging.Assert(False, [written])]):
            return tf.constant(False)

    return tf.cond(holds_all, lambda: tf.constant(True), refuse)


def outlined(function, *inputs):
    """Returns `function(*inputs)`, in a graph as one node.

    A branch that is not taken still costs each of its nodes a visit; outlined, it costs one. `function` may
    read no tensor of the graph around it but `inputs`.
    """
    if tf.executing_eagerly():
        return function(*inputs)
    attributes = {"_noinline": True}
    return tf.function(function, autograph=False, experimental_attributes=attributes)(*inputs)


def _printable(value):
    if value.dtype != tf.string:
        return value
    # An error text of bytes that are no UTF-8 cannot be raised in Python.
    return tf.strings.unicode_transcode(value, "UTF-8", "UTF-8", errors="replace", replacement_char=ord("?"))


def beginning(contents, count):
    """Returns the first `count` bytes, or all if there are fewer, as string scalar."""
    return tf.strings.substr(contents, 0, tf.minimum(tf.strings.length(contents), count))


def ending(contents, count):
    """Returns the last `count` bytes, or all if there are fewer, of strings of any shape."""
    start = tf.maximum(tf.strings.length(contents) - count, 0)
    return tf.strings.substr(contents, start, tf.fill(tf.shape(start), count))


def bytes_at(contents, position, count):
    """Returns `count` bytes from `position` on as int32 `(count,)`, zeros behind the end."""
    part = tf.strings.substr(contents, tf.minimum(position, tf.strings.length(contents)), count)
    return tf.cast(tf.io.decode_raw(part, tf.uint8, fixed_length=count), tf.int32)


def little_endian(values):
    """Returns the unsigned number of at most 7 little-endian bytes as int64 scalar."""
    scales = [1 << 8 * place for place in range(values.shape[0])]
    return tf.reduce_sum(tf.cast(values, tf.int64) * tf.constant(scales, tf.int64))


def big_endian(values):
    """Returns the unsigned number of at most 7 big-endian bytes as int64 scalar."""
    return little_endian(values[::-1])
