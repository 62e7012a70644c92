import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_keras import checks

pytestmark = pytest.mark.core


def sentence(function, *arguments, **keywords):
    with pytest.raises(ValueError) as error:
        function(*arguments, **keywords)
    return str(error.value)


def test_a_message_has_three_sentences():
    text = checks.message("Owner", "x > 0", "x=-1", "Raise x.")
    assert text == "`Owner` expects x > 0. Received: x=-1. Raise x."


def test_the_closest_word_is_proposed():
    assert checks.closest("gateed", ["gated", "concatenate"]) == "Did you mean `gated`? "
    assert checks.closest(12, [1, 123]) == "Did you mean `123`? "
    assert checks.closest("zzz", ["gated"]) == checks.closest("gated", []) == ""


def test_a_long_list_is_cut_and_counted():
    assert checks.listing(["a", "b"]) == "`a`, `b`"
    assert checks.listing([]) == ""
    assert checks.listing(range(12)).endswith("`10`, `11`")
    assert checks.listing(range(15)).endswith("`10`, `11` and 3 more")
    assert checks.listing((name for name in "abc"), most=1) == "`a` and 2 more"


def test_a_choice_is_returned_or_the_closest_one_named():
    assert checks.check_choice("Owner", "cell", "gru", {"gru": 1, "lstm": 2}) == "gru"
    text = sentence(checks.check_choice, "Owner", "cell", "lst", ("gru", "lstm"))
    expected = "`Owner` expects `cell` in `gru`, `lstm`. Received: cell='lst'. "
    assert text == expected + "Did you mean `lstm`? Choose one of them."


@given(st.integers(1, 10**9))
def test_a_positive_int_is_returned(value):
    assert checks.check_positive_int("Owner", "units", value) is value


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "4", None, [4], float("nan")])
def test_another_value_is_no_positive_int(value):
    text = sentence(checks.check_positive_int, "Owner", "units", value)
    expected = f"`Owner` expects `units` to be an int > 0. Received: units={value!r}. "
    assert text == expected + "Pass a whole number of at least 1, such as units=64."


@given(st.lists(st.integers(1, 99), min_size=1, max_size=4))
def test_positive_ints_are_returned_as_a_list(values):
    assert checks.check_positive_ints("Owner", "filters", tuple(values)) == values


@pytest.mark.parametrize("value", [4, "44", [], (), None])
def test_another_value_is_no_list(value):
    text = sentence(checks.check_positive_ints, "Owner", "filters", value)
    assert text.startswith(
        f"`Owner` expects `filters` to be a list of ints > 0. Received: filters={value!r}."
    )


def test_the_place_of_a_wrong_item_is_named():
    text = sentence(checks.check_positive_ints, "Owner", "filters", [4, 0])
    assert text.startswith("`Owner` expects `filters[1]` to be an int > 0. Received: filters[1]=0.")


@given(st.floats(0, 1, exclude_max=True))
def test_a_rate_is_returned(value):
    assert checks.check_rate("Owner", "dropout", value) is value


@pytest.mark.parametrize("value", [1, 1.0, -0.01, True, False, "0.1", None, float("nan"), float("inf")])
def test_another_value_is_no_rate(value):
    text = sentence(checks.check_rate, "Owner", "dropout", value)
    expected = f"`Owner` expects `dropout` in [0, 1). Received: dropout={value!r}. "
    assert text == expected + "Pass the share to drop, such as dropout=0.2."


@given(st.one_of(st.floats(0, exclude_min=True, allow_infinity=False), st.integers(1)))
def test_a_positive_number_is_returned(value):
    assert checks.check_positive("Owner", "hop", value) is value


@pytest.mark.parametrize("value", [0, 0.0, -1, True, "1", None, float("nan")])
def test_another_value_is_no_positive_number(value):
    text = sentence(checks.check_positive, "Owner", "hop", value)
    assert text == f"`Owner` expects `hop` > 0. Received: hop={value!r}. Pass a positive number for hop."


@pytest.mark.parametrize("shape", [(2, 3), [(2, 3)], None, {}, {"a": (2, 3)}])
def test_too_few_modalities_are_rejected(shape):
    text = sentence(checks.check_modalities, "Owner", shape, at_least=2)
    expected = "`Owner` expects a dict of at least 2 modalities, name -> tensor. "
    assert text.startswith(f"{expected}Received: inputs of shape {shape!r}. Call it on ")


def test_enough_modalities_pass():
    checks.check_modalities("Owner", {"a": (2, 3)})
    checks.check_ranks("Owner", {"a": (None, 3), "b": (None, 4)}, 2, "Pool.", at_least=2)
    checks.check_rank("Owner", "inputs", (2, None, 3), 3, "Pass more.")


def test_a_wrong_rank_is_named_with_the_first_modality_in_sorted_order():
    shapes = {"b": (2, 3, 4), "c": (2, 3), "a": (2, 3, 4)}
    text = sentence(checks.check_ranks, "Owner", shapes, 2, "Pool it.")
    expected = "`Owner` expects `inputs['a']` of rank 2. Received: inputs['a'].shape=(2, 3, 4). Pool it."
    assert text == expected


def test_ranks_need_modalities_first():
    assert "at least 2 modalities" in sentence(checks.check_ranks, "Owner", {"a": (2, 3)}, 2, "", 2)


@given(st.integers(1, 30))
def test_a_power_of_two_is_returned(power):
    assert checks.check_power_of_two("Owner", "sketch", 2**power) == 2**power


@pytest.mark.parametrize(("value", "nearest"), [(1, 2), (3, 4), (24, 32), (1000, 1024), (1300, 1024)])
def test_another_number_is_no_power_of_two(value, nearest):
    text = sentence(checks.check_power_of_two, "Owner", "sketch", value)
    expected = f"`Owner` expects `sketch` to be a power of two, of at least 2. Received: sketch={value}. "
    assert text == expected + f"Pass sketch={nearest}."


@given(st.integers(1, 99), st.integers(1, 99))
def test_a_divisor_is_returned(value, times):
    assert checks.check_division("Owner", "num_heads", value, "units", value * times) == value


def test_another_number_is_no_divisor():
    text = sentence(checks.check_division, "Owner", "num_heads", 3, "units", 8)
    expected = "`Owner` expects `num_heads` to divide `units`. Received: num_heads=3, units=8. "
    assert text == expected + "Pass a num_heads that divides units, such as num_heads=1, or another units."
    assert "num_heads=0" in sentence(checks.check_division, "Owner", "num_heads", 0, "units", 8)


@given(width=st.integers(1, 2000), count=st.integers(2, 24))
def test_an_outer_product_is_refused_just_where_it_is_too_large(width, count):
    fault = checks.product_fault(width, count)
    assert (fault is None) == ((width + 1) ** count <= checks.PRODUCT_LIMIT)
    if fault and "Lower" in fault[2]:
        largest = int(fault[2].split("Lower `width` to ")[1].split()[0])
        assert checks.product_fault(largest, count) is None
        assert checks.product_fault(largest + 1, count) is not None
    elif fault:
        assert checks.product_fault(1, count) is not None
