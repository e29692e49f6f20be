"""What a process tells at `/metrics`, as Prometheus reads it."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families


class Figures(dict[tuple[str, tuple[tuple[str, str], ...]], float]):
    """Every sample by its name and labels."""

    def of(self, name: str, **labels: str) -> float:
        """The sums of the samples of this name that have at least these labels."""
        wanted = labels.items()
        return sum(value for (found, has), value in self.items() if found == name and wanted <= dict(has).items())

    def names(self) -> set[str]:
        return {name for name, _ in self}


def scrape(url: str) -> Figures:
    answer = httpx.get(f"{url}/metrics", timeout=10, trust_env=False)
    answer.raise_for_status()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = Figures()
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} is told twice"
            found[key] = sample.value
    return found
