"""What a server tells Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Counts requests and batches, in a registry of its own."""

    def __init__(self):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "mm_keras_requests",
            "Requests answered, by what was answered.",
            ["model", "api", "method", "code"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "mm_keras_request_seconds",
            "Time from a request to its answer.",
            ["model", "api", "method"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._waiting = self._histogram("waiting_seconds", "Time that a request waited.", SECONDS)
        self._running = self._histogram("batch_seconds", "Time in which a batch was answered.", SECONDS)
        self._rows = self._histogram("batch_rows", "Rows of a batch, once for each of its requests.", ROWS)
        self.waiting_rows = Gauge(
            "mm_keras_waiting_rows", "Rows that wait for a batch.", registry=self.registry
        )
        self.available = Gauge(
            "mm_keras_version_available",
            "1 for each version of a model that answers.",
            ["model", "version"],
            registry=self.registry,
        )
        self._children = {}

    def _histogram(self, name, about, buckets):
        return Histogram(f"mm_keras_{name}", about, buckets=buckets, registry=self.registry)

    def count(self, model, api, method, code, seconds):
        """Counts an answered request; `model` is one that is served, or ""."""
        key = (model, api, method, code)
        if key not in self._children:  # `labels` takes longer than both calls.
            self._children[key] = (self._requests.labels(*key), self._seconds.labels(*key[:3]))
        requests, times = self._children[key]
        requests.inc()
        times.observe(seconds)

    def observe_batch(self, task, waited, ran, rows):
        """As `observe` of Batcher."""
        self._waiting.observe(waited)
        self._running.observe(ran)
        self._rows.observe(rows)

    def page(self, repository, waiting_rows):
        """Returns the page that Prometheus reads, bytes."""
        self.waiting_rows.set(waiting_rows)
        self.available.clear()
        for name in repository.settings:
            for version, state in repository.status(name).items():
                if state.state == "AVAILABLE":
                    self.available.labels(name, version).set(1)
        return generate_latest(self.registry)
