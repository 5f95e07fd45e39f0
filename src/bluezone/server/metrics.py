"""What the service counts. Counts only: no label ever holds a person, a code or an address."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """Counters of one process; `/metrics` shows them."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter(
            "bluezone_requests", "Answered requests", ["route", "status"], registry=registry
        )
        self.codes_issued = Counter(
            "bluezone_codes_issued", "One-time codes issued", registry=registry
        )
        self.uploads = Counter(
            "bluezone_uploads",
            "Accepted key uploads (chaff is not one)",
            registry=registry,
        )
        self.exports = Counter("bluezone_export_files", "Key files published", registry=registry)
        self.job_runs = Counter(
            "bluezone_job_runs", "Finished runs of a job", ["job", "outcome"], registry=registry
        )
        self.job_lag = Gauge(
            "bluezone_job_lag_seconds",
            "Time from when a job was last due to when it was done",
            ["job"],
            registry=registry,
        )

        self.job_last_run = Gauge(
            "bluezone_job_last_run_timestamp_seconds",
            "When the last finished run of a job began, in any process (0: never)",
            ["job"],
            registry=registry,
        )

    def text(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self._registry)
