"""A server of exported models that speaks TensorFlow Serving's REST and gRPC, in one process."""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
import uvicorn

from mm_keras.checks import message
from mm_keras.serving.engine import Engine
from mm_keras.serving.http_protocol import LimitedProtocol
from mm_keras.serving.listening import not_free, open_socket
from mm_keras.serving.rest import make_app
from mm_keras.serving.rpc import NOT_SERVING, SERVING, add_services

MOST_BYTES = 64 * 2**20
CONNECTIONS = 16  # For each row that may wait; more are refused.
SIGNALS = (signal.SIGINT, signal.SIGTERM)
logger = logging.getLogger(__name__)


@dataclass
class ServerSettings:
    """How a server runs.

    Args:
        models: list of ModelSettings.
        host: str. Address to listen on; "0.0.0.0" is every one of the machine.
        rest_port, grpc_port: int or None. 0: any free one; None: that interface is left out.
        most_bytes: int > 0. Of a request; longer ones are refused.
        most_rows: int > 0. Rows of a batch.
        most_waiting: int > 0. Rows that may wait; more are refused at once.
        workers: int > 0 or None. Batches answered at the same time; None: as many as there are processors.
        threads: int > 0. Threads of one operator; more than 1 where one request of a large model is to be
            quick.
        timeout: float > 0. Seconds of the longest request; a gRPC deadline may be shorter.
        poll_seconds: float > 0. How often folders are looked at for new versions.
        grace_seconds: float >= 0. How long a stop waits for what was taken.
        api_keys: tuple of bytes. One of them must come with a request; () asks for none.
        certificate, key: path or None. PEM files of TLS.
        cors: tuple of str. Origins whose pages may ask, such as "http://localhost:3000"; "*" is all.
        access_log: bool. A line for each request.
        allow_reload: bool. Whether clients may have other models loaded, of any folder (gRPC's
            HandleReloadConfigRequest).

    Raises: ValueError, if two of them do not go together, or the certificate cannot be used.
    """

    models: list
    host: str = "127.0.0.1"
    rest_port: int | None = 8501
    grpc_port: int | None = 8500
    most_bytes: int = MOST_BYTES
    most_rows: int = 32
    most_waiting: int = 256
    workers: int | None = None
    threads: int = 1
    timeout: float = 30.0
    poll_seconds: float = 1.0
    grace_seconds: float = 30.0
    api_keys: tuple = ()
    certificate: Path | None = None
    key: Path | None = None
    cors: tuple = ()
    access_log: bool = False
    allow_reload: bool = False

    def __post_init__(self):
        if self.workers is None:
            counts = hasattr(os, "sched_getaffinity")  # Which macOS has not.
            self.workers = len(os.sched_getaffinity(0)) if counts else os.cpu_count() or 1
        if (self.certificate is None) != (self.key is None):
            fix = "Give both PEM files."
            received = f"certificate={self.certificate}, key={self.key}"
            raise ValueError(message("serve", "a certificate and its key, or neither", received, fix))
        if self.rest_port is None and self.grpc_port is None:
            raise ValueError(message("serve", "a port", "none for REST and gRPC", "Give one of both."))
        for name, port in {"rest-port": self.rest_port, "grpc-port": self.grpc_port}.items():
            if port is not None and not 0 <= port <= 65535:
                fix = "0 takes any free one."
                raise ValueError(message(f"--{name}", "a port, 0 to 65535", f"{port}", fix))
        if self.certificate is not None:
            _check_certificate(self.certificate, self.key)


class Server:
    """Serves models until it is told to stop.

    Args:
        settings: ServerSettings.

    `rest_port` and `grpc_port` tell where it listens once it has started.
    """

    def __init__(self, settings):
        self.settings = settings
        self.engine = Engine(settings)
        self.rest_port, self.grpc_port = settings.rest_port, settings.grpc_port
        self._stop = asyncio.Event()

    async def run(self, started=None):
        """Loads the models, serves them, and returns after `stop` or a signal, when what was taken is
        answered.

        Args:
            started: callable or None. Called once all interfaces listen.

        Raises: ValueError, if a port is taken or no version of a model can be loaded.
        """
        self._listen_to_signals()
        sockets = self._open_socket()
        rpc, health = await self._make_rpc()
        await self.engine.repository.poll()
        self._check_models()
        self.engine.batcher.start()
        if rpc:
            await rpc.start()
        http = self._make_http()
        serving = asyncio.create_task(http.serve(sockets)) if http else None
        watching = asyncio.create_task(self.engine.repository.watch())
        while http and not http.started and not serving.done():
            await asyncio.sleep(0.01)
        about = {"rest_port": self.rest_port, "grpc_port": self.grpc_port}
        if not (serving and serving.done()):  # Else it failed, as is told at the end.
            logger.info("Listening", extra={**about, "models": sorted(self.engine.repository.settings)})
            if started:
                started()
        waits = [asyncio.create_task(self._stop.wait()), *([serving] if serving else [])]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        await self._finish(rpc, health, http, serving, watching)

    def stop(self):
        """Ends `run`, once what was taken is answered. To be called in its event loop."""
        self._stop.set()

    def _listen_to_signals(self):
        loop = asyncio.get_running_loop()

        def stop(number):
            if self._stop.is_set():  # Asked twice: without waiting for anything.
                logger.warning("Stopped at once")
                os._exit(128 + number)
            self.stop()

        for number in SIGNALS:
            # Neither on Windows nor outside the main thread.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, stop, number)

    def _check_models(self):
        states = self.engine.repository.states
        for name in self.engine.repository.settings:
            if not any(state.state == "AVAILABLE" for state in states[name].values()):
                reasons = "; ".join(state.error for state in states[name].values() if state.error)
                received = reasons or f"no version in {self.engine.repository.settings[name].folder}"
                fix = "Export it again, or leave the model out."
                raise ValueError(message("serve", f"a version of `{name}` that can be loaded", received, fix))

    def _open_socket(self):
        if self.rest_port is None:
            open_socket(self.settings.host, 0, "--grpc-port").close()  # Names an unknown host.
            return []
        listening = open_socket(self.settings.host, self.rest_port, "--rest-port")
        self.rest_port = listening.getsockname()[1]
        return [listening]

    async def _make_rpc(self):
        if self.grpc_port is None:
            return None, None
        settings = self.settings
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.most_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
            # Those above are refused (RESOURCE_EXHAUSTED) before they cost more than their bytes.
            maximum_concurrent_rpcs=settings.most_waiting + settings.workers * settings.most_rows,
        )
        health = add_services(server, self.engine)
        await health.set("", SERVING)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            if settings.certificate:
                pair = (Path(settings.key).read_bytes(), Path(settings.certificate).read_bytes())
                credentials = grpc.ssl_server_credentials([pair])
                self.grpc_port = server.add_secure_port(f"{host}:{self.grpc_port}", credentials)
            else:
                self.grpc_port = server.add_insecure_port(f"{host}:{self.grpc_port}")
        except RuntimeError as error:
            raise not_free("--grpc-port", self.grpc_port, settings.host, str(error)) from error
        return server, health

    def _make_http(self):
        if self.rest_port is None:
            return None
        settings = self.settings
        config = uvicorn.Config(
            make_app(self.engine),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            http=functools.partial(LimitedProtocol, seconds=settings.timeout),
            limit_concurrency=CONNECTIONS * settings.most_waiting,
            ssl_certfile=settings.certificate and str(settings.certificate),
            ssl_keyfile=settings.key and str(settings.key),
            timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
        )
        return _Http(config)

    async def _finish(self, rpc, health, http, serving, watching):
        """Takes no more requests, answers those that were taken, and ends."""
        logger.info("Stopping")
        self.engine.stopping = True
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        ends = []
        if rpc:
            await health.set("", NOT_SERVING)
            ends.append(rpc.stop(self.settings.grace_seconds))
        if http:
            http.should_exit = True
            ends.append(serving)
        try:
            await asyncio.gather(*ends)
        finally:
            self.engine.batcher.stop()
            await asyncio.to_thread(self.engine.batcher.join, self.settings.grace_seconds)
            await self.engine.repository.close()
        logger.info("Stopped")


class _Http(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        """The Server's own handlers stay."""
        yield


def _check_certificate(certificate, key):
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        fix = "Give PEM files that belong together, the key without a password."
        received = f"{certificate} and {key}: {error.strerror or error}"
        raise ValueError(message("serve", "a certificate and its key", received, fix)) from error


def serve(settings, started=None):
    """Runs a Server in this thread until it is stopped.

    Args:
        settings: ServerSettings.
        started: callable or None. Called with the Server once it listens.
    """

    async def run():
        server = Server(settings)

        def begin():
            # What is loaded stays: to look through it for garbage stops all answers for a while.
            gc.collect()
            gc.freeze()
            if started:
                started(server)

        await server.run(begin)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())


def _loop_factory():
    config = uvicorn.Config(None, log_config=None)
    return config.get_loop_factory() if hasattr(config, "get_loop_factory") else None
