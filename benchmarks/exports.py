"""Line lists of 50,000 rows from the portal in every form, from request to last byte, beside 10 s.

Names and telephone numbers are opened for every row. Over loopback, a process of its own for each
form; `peak MB` is what the process had grown to at most, and `grown MB` by how much over what it
had before the request. Sara Alert's full export of 41,720 people took 320 s (its PR 229).
"""

import asyncio
import json
import resource
import subprocess
import sys
import time

import httpx

from benchmarks.portal import outbreak, served

_ROWS = 50_000
_LIMIT_SECONDS = 10.0
_FORMS = ("csv", "xlsx", "fhir", "sormas", "go-data")
_COLUMNS = (
    "reference", "person", "status", "onset", "reported_on", "sampled_on", "outcome", "unit",
    "unit_name", "name", "phone", "address",
)  # fmt: skip


def measure() -> list[dict[str, object]]:
    """One row for each form."""
    rows: list[dict[str, object]] = []
    for form in _FORMS:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.exports", form],
            capture_output=True,
            text=True,
            check=True,
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return rows


async def _measure(form: str) -> dict[str, object]:
    async with (
        outbreak(cases=_ROWS, contacts_per_case=0, clusters=400) as (services, _built, token),
        served(services) as address,
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=120) as client,
    ):
        before = _peak_mb()
        wanted = {
            "list": "cases", "form": form, "since": "2020-10-01", "until": "2021-01-20",
            "reason": "a measurement", "personal": True,
            "columns": _COLUMNS if form in ("csv", "xlsx") else (),
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {token}"}
        size, first = 0, 0.0
        began = time.perf_counter()
        async with client.stream(
            "POST", "/v1/staff/exports", json=wanted, headers=headers
        ) as answer:
            assert answer.status_code == 200, await answer.aread()
            async for some in answer.aiter_raw():
                first = first or time.perf_counter() - began
                size += len(some)
        taken = time.perf_counter() - began
    return {
        "form": form,
        "rows": _ROWS,
        "MB": size / 1e6,
        "first byte s": first,
        "all s": taken,
        "limit s": _LIMIT_SECONDS,
        "all / limit": taken / _LIMIT_SECONDS,
        "peak MB": _peak_mb(),
        "grown MB": _peak_mb() - before,
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(sys.argv[1]))))
