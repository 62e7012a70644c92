"""Which devices train: a name in the spec -> a tf.distribute strategy."""

import functools

import tensorflow as tf

from mm_keras.checks import check_choice, message


def make_strategy(name="auto"):
    """Returns the strategy of a name.

    Args:
        name: str. "none": one device. "mirrored": every visible GPU, or, where there is none, every logical
            CPU device. "auto": mirrored with two GPUs or more, else none.

    Returns: tf.distribute.Strategy. Make and compile the model in its `scope()`.
    Raises: ValueError, if the name is unknown, or "mirrored" finds a single device.
    """
    check_choice("make_strategy", "strategy", name, ("auto", "none", "mirrored"))
    devices = visible_devices()
    if name == "none" or (name == "auto" and len(devices) < 2) or (name == "auto" and "CPU" in devices[0]):
        return tf.distribute.get_strategy()
    if len(devices) < 2 and "CPU" in devices[0]:
        fix = "Use strategy: auto, which trains on one device."
        raise ValueError(message("strategy", "a GPU for mirrored", f"devices {devices}", fix))
    return _mirrored(tuple(devices))


@functools.cache
def _mirrored(devices):
    """Returns one strategy a process: those of a second would take the keys of the first's collectives."""
    return tf.distribute.MirroredStrategy(list(devices))


def visible_devices():
    """Returns the names of the visible GPUs, or where there is none of the logical CPU devices."""
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return [f"{kind}:{i}" for i in range(len(tf.config.list_logical_devices(kind)))]


def describe_devices(strategy):
    """Returns a line on the devices, such as "2 x NVIDIA H200" or "1 x CPU"."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"{strategy.num_replicas_in_sync} x CPU"
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return f"{strategy.num_replicas_in_sync} x {name}"
