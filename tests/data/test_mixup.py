import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.data.mixup import mix

NAN = float("nan")
KINDS = {"audio": "audio", "image": "image", "numbers": "numbers", "text": "text"}
SEED = tf.constant([3, 4], tf.int32)


def batch(count=8, seed=7):
    """Inputs, targets and weights of rows that differ everywhere; all modalities are there."""
    random = np.random.default_rng(seed)
    inputs = {
        "audio": random.uniform(-1, 1, (count, 5)),
        "image": random.uniform(0, 255, (count, 2, 2, 3)),
        "numbers": random.normal(size=(count, 2)),
        "present": np.ones((count, 4)),
    }
    inputs = {name: tf.constant(x, tf.float32) for name, x in inputs.items()}
    inputs["text"] = tf.constant(random.integers(5, 99, (count, 6)), tf.int32)
    targets = {"label": tf.eye(count), "copy_image": inputs["image"], "copy_text": inputs["text"]}
    return inputs, targets, {key: tf.ones([count]) for key in targets}


def mixed(rows, alpha=1.0, seed=SEED):
    return mix(*rows, alpha, seed, KINDS, {"copy_image": "image", "copy_text": "text"})


def shares_of(targets):
    """Returns the matrix of what each row took of each other: the labels of `batch` are one-hot rows."""
    return targets["label"].numpy()


def test_inputs_and_labels_are_blended_by_the_same_share():
    rows = batch()
    inputs, targets, weights = mixed(rows)
    shares = shares_of(targets)
    assert ((shares > 0).sum(axis=1) == 2).sum() > 4
    for name in ("audio", "image", "numbers"):
        x = rows[0][name].numpy()
        expected = np.tensordot(shares, x, 1)
        np.testing.assert_allclose(inputs[name], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(weights["label"], 1, rtol=1e-6)


def test_a_row_keeps_the_larger_share_and_its_token_ids():
    rows = batch()
    inputs, targets, _ = mixed(rows, alpha=5.0)
    assert (np.diag(shares_of(targets)) >= 0.5).all()
    assert (np.diag(shares_of(targets)) < 0.99).any()
    np.testing.assert_array_equal(inputs["text"], rows[0]["text"])


def test_reconstructions_aim_at_the_blended_inputs():
    inputs, targets, weights = mixed(batch())
    np.testing.assert_array_equal(targets["copy_image"], inputs["image"])
    np.testing.assert_array_equal(targets["copy_text"], inputs["text"])
    np.testing.assert_array_equal(weights["copy_image"], np.ones(8))


def test_shares_follow_the_beta_distribution():
    rows = batch(2000)
    drawn = mixed(({"present": rows[0]["present"], **rows[0]}, {"label": rows[1]["label"]}, rows[2]), 0.4)
    shares = np.diag(shares_of(drawn[1]))
    expected = np.random.default_rng(7).beta(0.4, 0.4, 20_000)
    quantiles = np.linspace(0.1, 0.9, 9)
    wanted = np.quantile(np.maximum(expected, 1 - expected), quantiles)
    # Of 2000 rows: three deviations of a quantile where the density is lowest.
    np.testing.assert_allclose(np.quantile(shares, quantiles), wanted, atol=0.04)


@pytest.mark.parametrize(("alpha", "low", "high"), [(1e-4, 0.99, 1), (100.0, 0.5, 0.7)])
def test_an_extreme_alpha_gives_the_shares_that_it_should(alpha, low, high):
    shares = shares_of(mixed(batch(64), alpha)[1])
    shares = np.diag(shares)[np.count_nonzero(shares, axis=1) == 2] if alpha > 1 else np.diag(shares)
    assert len(shares) > 50
    assert ((shares >= low) & (shares <= high)).all()


def test_a_modality_that_one_row_lacks_is_not_blended():
    inputs, targets, weights = batch()
    present = np.ones((8, 4), "float32")
    present[::2, sorted(KINDS).index("image")] = 0
    image = inputs["image"] * tf.reshape(present[:, 1], [-1, 1, 1, 1])
    rows = ({**inputs, "image": image, "present": tf.constant(present)}, targets, weights)
    changed, answers, _ = mixed(rows)
    np.testing.assert_array_equal(changed["present"], present)
    shares = shares_of(answers)
    for i, partner in enumerate(np.argmax(shares - np.eye(8) * shares, axis=1)):
        if shares[i, i] == 1:
            continue
        here = present[i, 1] * present[partner, 1]
        same = (changed["image"][i].numpy() == image[i].numpy()).all()
        assert same == (not here)
        assert (changed["audio"][i].numpy() != inputs["audio"][i].numpy()).any()


def test_rows_that_share_only_text_stay_as_they_are():
    inputs, targets, weights = batch()
    present = tf.constant([[0, 0, 0, 1.0]] * 8)
    changed, answers, _ = mixed(({**inputs, "present": present}, targets, weights))
    np.testing.assert_array_equal(answers["label"], targets["label"])
    np.testing.assert_array_equal(changed["image"], inputs["image"])


def test_text_alone_is_left_as_it_is():
    inputs, targets, weights = batch()
    inputs = {"text": inputs["text"], "present": tf.ones([8, 1])}
    targets = {"label": targets["label"]}
    changed, answers, _ = mix(inputs, targets, weights, 1.0, SEED, {"text": "text"})
    np.testing.assert_array_equal(answers["label"], targets["label"])
    np.testing.assert_array_equal(changed["text"], inputs["text"])


def test_a_partner_without_a_label_adds_none_of_it():
    inputs, targets, weights = batch()
    known = np.array([1, 0, 1, 1, 0, 1, 0, 1], "float32")
    whole = shares_of(mixed((inputs, targets, weights))[1])
    _, answers, counts = mixed((inputs, targets, {**weights, "label": tf.constant(known)}))
    shares = shares_of(answers)
    assert (shares[known > 0][:, known == 0] == 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(counts["label"][known == 0], 0)
    # What is known of a row counts as much as its part in the blend.
    np.testing.assert_allclose(counts["label"][known > 0], (whole @ known)[known > 0], rtol=1e-5)


def test_the_loss_is_the_blend_of_both_losses():
    inputs, targets, weights = batch()
    heavy = tf.constant([1, 2, 0.5, 3, 1, 1, 4, 1], tf.float32)
    shares = shares_of(mixed((inputs, targets, weights))[1])
    _, answers, counts = mixed((inputs, targets, {**weights, "label": heavy}))
    scores = tf.nn.log_softmax(tf.random.stateless_normal([8, 8], SEED))
    loss = -tf.reduce_sum(answers["label"] * scores, axis=1) * counts["label"]
    of_each = -scores.numpy() * heavy.numpy()  # [row, whose label]
    np.testing.assert_allclose(loss, (shares * of_each).sum(axis=1), rtol=1e-4)


def test_a_missing_number_stays_missing_and_spoils_no_other():
    inputs, targets, weights = batch()
    numbers = inputs["numbers"].numpy()
    numbers[2, 0] = NAN
    changed, answers, _ = mixed(({**inputs, "numbers": tf.constant(numbers)}, targets, weights))
    missing = np.zeros((8, 2), bool)
    missing[2, 0] = True
    np.testing.assert_array_equal(np.isnan(changed["numbers"]), missing)
    (taker,) = [i for i in range(8) if i != 2 and shares_of(answers)[i, 2] > 0]
    assert changed["numbers"][taker, 0] == numbers[taker, 0]
    assert changed["numbers"][taker, 1] != numbers[taker, 1]


def test_an_unknown_number_to_learn_leaks_no_nan():
    inputs, _, _ = batch()
    goal = np.arange(8, dtype="float32")[:, None]
    goal[3] = NAN
    weights = {"price": tf.constant((~np.isnan(goal[:, 0])).astype("float32"))}
    _, answers, counts = mix(inputs, {"price": tf.constant(goal)}, weights, 1.0, SEED, KINDS)
    np.testing.assert_array_equal(np.isnan(answers["price"][:, 0]), np.isnan(goal[:, 0]))
    assert counts["price"][3] == 0


@settings(max_examples=15)
@given(st.integers(1, 6), st.floats(0.01, 10), st.integers(0, 2**31 - 1), st.data())
def test_shapes_dtypes_and_ranges_are_kept(count, alpha, seed, data):
    inputs, targets, weights = batch(count)
    flags = st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=4), min_size=count)
    present = tf.constant(data.draw(flags)[:count])
    rows = ({**inputs, "present": present}, targets, weights)
    drawn = mixed(rows, alpha, tf.constant([seed, 1], tf.int32))
    for old, new in zip(rows, drawn, strict=True):
        assert old.keys() == new.keys()
        for name in old:
            assert (new[name].shape, new[name].dtype) == (old[name].shape, old[name].dtype)
            low, high = np.min(old[name]), np.max(old[name])
            assert (new[name].numpy() >= low - 1e-4).all()
            assert (new[name].numpy() <= high + 1e-4).all()


def test_the_seed_repeats_the_blend_inside_a_parallel_map():
    rows = batch()
    seeds = tf.stack([tf.range(4), tf.range(4)], axis=1)
    dataset = tf.data.Dataset.from_tensor_slices(seeds).map(lambda seed: mixed(rows, 1.0, seed), 4)
    for seed, (inputs, targets, weights) in zip(seeds, dataset, strict=True):
        eager = mixed(rows, 1.0, seed)
        # The graph fuses a product and a sum, which rounds once.
        np.testing.assert_allclose(inputs["image"], eager[0]["image"], rtol=1e-5)
        np.testing.assert_allclose(targets["label"], eager[1]["label"], rtol=1e-5)
        np.testing.assert_allclose(weights["label"], eager[2]["label"], rtol=1e-5)
    assert (shares_of(mixed(rows, 1.0, seeds[0])[1]) != shares_of(mixed(rows, 1.0, seeds[1])[1])).any()
