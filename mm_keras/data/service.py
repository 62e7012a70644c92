"""The tf.data service: files of training rows are read and decoded by workers on other machines."""

import signal
import socket
import threading
from urllib.parse import urlsplit

import pyarrow.compute as pc
import tensorflow as tf

from mm_keras.checks import message
from mm_keras.data.cells import as_arrow
from mm_keras.data.order import seeds

REPLY_SECONDS = 5
HEARTBEAT = 1000  # Milliseconds, in which a worker hears of a training that it missed the start of.
MOST_BYTES = 2**30  # Of the table that is sent; a message of gRPC holds at most 2 GiB.
LOOKED_AT = 64  # Records whose sounds are looked at.
SHARDS = "Train from shards that `mm-keras prepare` writes, or take `input.service` out of the spec."
BY_SOUNDFILE = r"(?i)\.(?:flac|ogg|oga|opus|mp3)$"


def serve_from(make_epoch, seed, service, batch_size):
    """Returns batches that the workers of a dispatcher make.

    A worker takes one range of rows, or one shard, after another, whichever it is free for: each row comes
    once in an epoch, from one worker or from several. The order in which batches arrive is then that of
    their making. A worker that dies takes along the rows that it had begun, and the epoch ends with an error.

    Args:
        make_epoch: callable, int64 tensor `(2,)`, a seed, -> dataset of batches {name: tensor `(B, ...)`} of
            one epoch. Its source is a range or slices of tensors, which the dispatcher deals out. It is sent
            anew for each epoch.
        seed: int. Draws the seeds of the epochs.
        service: str. "grpc://host:port".
        batch_size: int > 0. What workers leave over is joined to batches of this size.

    Returns: tf.data.Dataset.
    """

    @tf.autograph.experimental.do_not_convert
    def serve(epoch_seed):
        policy = tf.data.experimental.service.ShardingPolicy.DYNAMIC
        options = tf.data.Options()
        # Each worker would spend ten seconds an epoch on rewriting the decoders' graph, and gain nothing.
        options.experimental_optimization.apply_default_optimizations = False
        batches = make_epoch(epoch_seed).with_options(options)
        return batches.apply(tf.data.experimental.service.distribute(policy, service))

    return seeds(seed).take(1).flat_map(serve).rebatch(batch_size)


def check_service(service, source, rows):
    """Refuses what a tf.data service cannot do, before training.

    Args:
        service: str. "grpc://host:port".
        source: RowSource.
        rows: int array. Rows of train.

    Raises: ValueError, if nobody answers there, if a sound is no WAV (the others are read by soundfile, in
        Python), or if the paths of all rows are too large to send.
    """
    _reach("input.service", urlsplit(service).netloc)
    sounds = [name for name in source.names if source.modalities[name].kind == "audio"]
    if source.in_records:
        _refuse_packed_records(source, rows, sounds)
        return
    cells = {name: as_arrow(source.manifest.cells[name][rows]) for name in source.names}
    size = sum(column.nbytes for column in cells.values())
    if size > MOST_BYTES:
        expected = f"paths of at most {MOST_BYTES / 1e6:.0f} MB in all"
        raise ValueError(message("input.service", expected, f"{size / 1e6:.0f} MB", SHARDS))
    for name in sounds:
        packed = cells[name].filter(pc.match_substring_regex(cells[name], BY_SOUNDFILE))
        if len(packed):
            _refuse_packed(name, f"{len(packed)} others, such as {packed[0]}")


def _refuse_packed_records(source, rows, sounds):
    for row in source.dataset(rows).take(LOOKED_AT).as_numpy_iterator() if sounds else ():
        for name in sounds:
            if row[name] and row[name][:4] != b"RIFF":
                _refuse_packed(name, f"a record that begins with {row[name][:4]!r}")


def _refuse_packed(name, received):
    expected = f"WAV in `{name}`: other formats are read by Python, which workers do not run"
    raise ValueError(message("input.service", expected, received, SHARDS))


def start_dispatcher(port):
    """Starts the dispatcher, which deals work out to workers.

    Args:
        port: int. 0 takes a free one.

    Returns: tf.data.experimental.service.DispatchServer; `target` is what `input.service` names.
    Raises: ValueError, if the port is taken.
    """
    _check_port("data-service dispatcher", port)
    return tf.data.experimental.service.DispatchServer(
        tf.data.experimental.service.DispatcherConfig(port=port)
    )


def start_worker(dispatcher, port=0, host=None):
    """Starts a worker, which reads and decodes what the dispatcher gives it.

    It reads the files by the same absolute paths as the process that trains.

    Args:
        dispatcher: str. "host:port", with or without grpc:// before it.
        port: int. 0 takes a free one.
        host: str or None. Name or address by which the process that trains reaches this machine; None takes
            the address from which the dispatcher is reached.

    Returns: (tf.data.experimental.service.WorkerServer, the host it is known by).
    Raises: ValueError, if nobody answers at the dispatcher's address, or the port is taken.
    """
    dispatcher = dispatcher.removeprefix("grpc://")
    own = _reach("data-service worker --dispatcher", dispatcher)
    _check_port("data-service worker", port)
    host = host or (f"[{own}]" if ":" in own else own)
    config = tf.data.experimental.service.WorkerConfig(
        dispatcher_address=dispatcher,
        worker_address=f"{host}:%port%",
        port=port,
        heartbeat_interval_ms=HEARTBEAT,
    )
    return tf.data.experimental.service.WorkerServer(config), host


def wait_for_stop():
    """Waits until the process is asked to end, by Ctrl-C or SIGTERM."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    asked.wait()


def _reach(owner, address):
    """Returns the address of this machine from which another one is reached."""
    parts = urlsplit(f"//{address}")
    fix = "Start `mm-keras data-service dispatcher` there first, or mend the address."
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise ValueError(message(owner, "an address such as host:5050", repr(address), fix))
    try:
        with socket.create_connection((host, port), REPLY_SECONDS) as connection:
            return connection.getsockname()[0]
    except OSError as error:
        received = f"{error.strerror or error} from {address}"
        raise ValueError(message(owner, "a dispatcher that answers", received, fix)) from error


def _check_port(owner, port):
    # gRPC shares a port that another process listens on, without a word.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            fix = "Name another one with --port, or end the process that has it."
            received = f"port {port} ({error.strerror})"
            raise ValueError(message(owner, "a free port", received, fix)) from error
