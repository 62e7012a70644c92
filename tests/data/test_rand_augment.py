import numpy as np
import pytest
import tensorflow as tf

from mm_keras.data.draws import seed_for
from mm_keras.data.keras_draws import BatchSeeds, adjust
from mm_keras.data.rand_augment import RandAugmentation

SEED = tf.constant([1, 5], tf.int32)
OPERATIONS = range(len(RandAugmentation(1, 1.0).operations))


def pictures(batch=4, seed=7):
    """Smooth pictures of all colours, 0 to 255."""
    corners = np.random.default_rng(seed).uniform(0, 255, (batch, 2, 2, 3))
    return tf.image.resize(tf.constant(corners, tf.float32), (12, 10))


def difference(operation, magnitude, images):
    changed = adjust(RandAugmentation(1, magnitude).operations[operation], images, BatchSeeds(SEED))
    assert tf.reduce_min(changed) >= -1e-3
    assert tf.reduce_max(changed) <= 255.001
    return float(tf.reduce_mean(tf.abs(changed - images)))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_is_weak_at_low_magnitude_and_stays_in_range(operation):
    images = pictures()
    weak, strong = difference(operation, 0.02, images), difference(operation, 1.0, images)
    name = type(RandAugmentation(1, 1.0).operations[operation]).__name__
    if name == "_Identity":
        assert weak == strong == 0
    elif name == "AutoContrast":
        assert weak == strong > 1
    else:
        assert weak < 4 < strong


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_image_of_a_batch_changes_another(operation):
    layer = RandAugmentation(1, 0.5).operations[operation]
    images, others = pictures(), tf.concat([pictures()[:1], pictures(3, seed=8)], 0)
    one, other = (adjust(layer, x, BatchSeeds(SEED))[0] for x in (images, others))
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_each_image_draws_its_own_operation():
    images = tf.repeat(pictures(1), 200, axis=0)
    changed = RandAugmentation(1, 0.5)(images, SEED).numpy()
    unchanged = (changed == images.numpy()).all(axis=(1, 2, 3))
    assert 5 < unchanged.sum() < 40  # One of eleven: 18 +- 4. A whole batch of one operation has 0 or 200.


def test_an_image_returns_to_its_own_place():
    images = pictures(50)
    # So weak that an image stays nearest to itself.
    changed = RandAugmentation(3, 0.02)(images, SEED).numpy()
    distances = np.abs(changed[:, None] - images.numpy()[None]).mean(axis=(2, 3, 4))
    assert (distances.argmin(axis=1) == np.arange(50)).mean() > 0.9  # AutoContrast has no strength.


def test_more_layers_change_more():
    images = pictures(64)
    one, three = (
        np.abs(RandAugmentation(layers, 0.5)(images, SEED) - images).mean(axis=(1, 2, 3)) for layers in (1, 3)
    )
    assert (three == 0).sum() < (one == 0).sum()
    assert three.mean() > one.mean()


def test_the_graph_does_what_eager_mode_does_at_any_batch_size():
    augment = RandAugmentation(2, 0.5)
    graph = tf.function(
        augment, input_signature=[tf.TensorSpec([None, 12, 10, 3]), tf.TensorSpec([2], tf.int32)]
    )
    for batch in (0, 1, 7):
        seed = seed_for(SEED, str(batch))
        np.testing.assert_allclose(graph(pictures(batch), seed), augment(pictures(batch), seed), atol=1e-2)
