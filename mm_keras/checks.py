"""The wording of every argument error: what was expected, what was received, how to mend it."""

import difflib
import math

LONGEST_WORD = 100  # Of one that is looked for among others.
PRODUCT_LIMIT = 2**18  # Numbers of one example's outer product: 1 MB in float32.


def message(owner, expected, received, fix):
    """Returns "`Owner` expects X. Received: Y. How to fix it."."""
    return f"`{owner}` expects {expected}. Received: {received}. {fix}"


def closest(word, choices):
    """Returns "Did you mean `x`? " for the choice that is spelled most like `word`, or ""."""
    near = difflib.get_close_matches(str(word)[:LONGEST_WORD], [str(choice) for choice in choices], n=1)
    return f"Did you mean `{near[0]}`? " if near else ""


def listing(names, most=12):
    """Returns the names quoted and joined; of a long list the first `most` and a count."""
    names = list(names)
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def check_choice(owner, name, value, choices):
    if value not in choices:
        fix = f"{closest(value, choices)}Choose one of them."
        raise ValueError(message(owner, f"`{name}` in {listing(choices)}", f"{name}={value!r}", fix))
    return value


def check_positive_int(owner, name, value):
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        fix = f"Pass a whole number of at least 1, such as {name}=64."
        raise ValueError(message(owner, f"`{name}` to be an int > 0", f"{name}={value!r}", fix))
    return value


def check_positive_ints(owner, name, values):
    if isinstance(values, (str, int)) or not values:
        fix = f"Pass a list of whole numbers, such as {name}=[32, 64]."
        raise ValueError(message(owner, f"`{name}` to be a list of ints > 0", f"{name}={values!r}", fix))
    return [check_positive_int(owner, f"{name}[{i}]", value) for i, value in enumerate(values)]


def check_rate(owner, name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        fix = f"Pass the share to drop, such as {name}=0.2."
        raise ValueError(message(owner, f"`{name}` in [0, 1)", f"{name}={value!r}", fix))
    return value


def check_rates(owner, name, value):
    """Checks one rate of all modalities, or a dict, modality name -> its own."""
    if not isinstance(value, dict):
        return check_rate(owner, name, value)
    return {key: check_rate(owner, f"{name}[{key!r}]", rate) for key, rate in value.items()}


def check_power_of_two(owner, name, value):
    check_positive_int(owner, name, value)
    if value < 2 or value & (value - 1):
        nearest = max(2, 2 ** round(math.log2(value)))
        expected = f"`{name}` to be a power of two, of at least 2"
        raise ValueError(message(owner, expected, f"{name}={value!r}", f"Pass {name}={nearest}."))
    return value


def check_division(owner, name, value, of, whole):
    """Checks that `value` divides `whole`, the value of the argument `of`."""
    check_positive_int(owner, name, value)
    if whole % value:
        fix = f"Pass a {name} that divides {of}, such as {name}=1, or another {of}."
        raise ValueError(
            message(owner, f"`{name}` to divide `{of}`", f"{name}={value!r}, {of}={whole!r}", fix)
        )
    return value


def product_fault(width, count):
    """Returns (expected, received, fix) where an outer product of `count` vectors `[x; 1]`, each of
    `width + 1` numbers, is too large to hold; else None."""
    if (width + 1) ** count <= PRODUCT_LIMIT:
        return None
    largest = 0
    while (largest + 2) ** count <= PRODUCT_LIMIT:
        largest += 1
    fix = "Take the low-rank fusion (`low_rank`), which learns the same map without the product."
    if largest:
        fix = f"Lower `width` to {largest} or less. {fix}"
    expected = (
        f"an outer product of at most {PRODUCT_LIMIT} numbers, which are (width + 1) ** {count} "
        f"for {count} modalities"
    )
    return expected, f"width={width}", fix


def check_positive(owner, name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(
            message(owner, f"`{name}` > 0", f"{name}={value!r}", f"Pass a positive number for {name}.")
        )
    return value


def check_modalities(owner, input_shape, at_least=1):
    """Checks that a layer was built on a dict of at least `at_least` modalities."""
    if not isinstance(input_shape, dict) or len(input_shape) < at_least:
        fix = 'Call it on {"image": tensor, "text": tensor}.'
        expected = f"a dict of at least {at_least} modalities, name -> tensor"
        raise ValueError(message(owner, expected, f"inputs of shape {input_shape!r}", fix))


def check_rank(owner, name, shape, rank, fix):
    if len(shape) != rank:
        raise ValueError(message(owner, f"`{name}` of rank {rank}", f"{name}.shape={tuple(shape)}", fix))


def check_ranks(owner, input_shape, rank, fix, at_least=1):
    """Checks that every modality of a dict of shapes has `rank` axes, batch included."""
    check_modalities(owner, input_shape, at_least)
    for name in sorted(input_shape):
        check_rank(owner, f"inputs[{name!r}]", input_shape[name], rank, fix)


def check_present(owner, input_shape):
    """Checks that "present" has a column for each of the other inputs, and returns their names, sorted."""
    check_modalities(owner, input_shape, 2)
    names = sorted(name for name in input_shape if name != "present")
    present = input_shape.get("present")
    if present is None or len(present) != 2 or present[1] != len(names):
        fix = 'Pass {"image": ..., "text": ..., "present": ones of shape (B, 2)}.'
        expected = f'"present" of shape (B, {len(names)}), one column a modality'
        raise ValueError(message(owner, expected, f"present.shape={present}", fix))
    return names
