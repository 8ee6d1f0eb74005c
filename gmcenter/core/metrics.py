"""Our own Prometheus metrics, one registry a process."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    platform_collector,
    process_collector,
)

REGISTRY = CollectorRegistry(auto_describe=True)
process_collector.ProcessCollector(registry=REGISTRY)
platform_collector.PlatformCollector(registry=REGISTRY)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def counter(name: str, words: str, *labels: str) -> Counter:
    """A counter `gm_<name>_total`."""
    return Counter(f"gm_{name}", words, labels, registry=REGISTRY)


def gauge(name: str, words: str, *labels: str) -> Gauge:
    """A gauge `gm_<name>`."""
    return Gauge(f"gm_{name}", words, labels, registry=REGISTRY)


def histogram(name: str, words: str, *labels: str) -> Histogram:
    """A histogram `gm_<name>` over seconds."""
    return Histogram(f"gm_{name}", words, labels, registry=REGISTRY, buckets=SECONDS)


def exposition() -> bytes:
    """All metrics of this process in Prometheus' text format."""
    return generate_latest(REGISTRY)
