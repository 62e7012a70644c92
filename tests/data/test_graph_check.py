import pytest
import tensorflow as tf

from mm_keras.data.graph_check import beginning, ending, outlined, require


def test_an_outlined_function_is_one_node_that_gives_the_same():
    def double(x):
        return x + x + 0 * x

    traced = tf.function(lambda x: outlined(double, x), autograph=False)
    graph = traced.get_concrete_function(tf.TensorSpec([], tf.int32)).graph
    assert "AddV2" not in {node.type for node in graph.get_operations()}
    assert [function.attr["_noinline"].b for function in graph.as_graph_def().library.function] == [True]
    assert traced(tf.constant(4)).numpy() == outlined(double, tf.constant(4)).numpy() == 8


@pytest.mark.parametrize(
    ("contents", "first", "last"), [(b"", b"", b""), (b"ab", b"ab", b"ab"), (b"abcd", b"abc", b"bcd")]
)
def test_beginning_and_ending_take_what_there_is(contents, first, last):
    assert beginning(contents, 3) == first
    assert ending(contents, 3) == last


def test_the_first_check_that_fails_gives_the_message_with_its_values():
    def check(value):
        return require(
            "owner",
            (value > 0, "a number > 0", "{}", (value,), "Raise it."),
            (value > 9, "a number > 9 from {}", "{}", (tf.constant(b"x\xff"), value), "Raise it more."),
        )

    for run in (check, tf.function(check, autograph=False)):
        assert run(tf.constant(10))
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="`owner` expects a number > 0. Received: -1. Raise it."
        ):
            run(tf.constant(-1))
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"> 9 from `x\?`. Received: 5. Raise it more."
        ):
            run(tf.constant(5))
