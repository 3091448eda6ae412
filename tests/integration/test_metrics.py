"""What Prometheus reads at both ends: parsed by its own library, documented, and true after an event."""

from __future__ import annotations

import json
import re
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.rig import free_port, open_rig

ROOT = Path(__file__).parent.parent.parent
ROWS = re.findall(r"^\| (`.+?) \|", (ROOT / "docs/reference/metrics.md").read_text("utf-8"), re.MULTILINE)
DOCUMENTED = set(re.findall(r"`([a-z_]+)`", "".join(ROWS)))


async def _scraped(http: aiohttp.ClientSession, url: str) -> dict[tuple[str, str], float]:
    """Return all samples, by name and labels."""
    async with http.get(url) as answer:
        assert answer.status == 200
        text = await answer.text()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            name = re.sub(r"_(bucket|sum|count)$", "", sample.name) if family.type == "histogram" else sample.name
            assert name.removeprefix("gladys_companion_") in DOCUMENTED, name
            found[sample.name, json.dumps(sample.labels, sort_keys=True)] = sample.value
    return found


async def test_both_ends_are_measured(tmp_path: Path) -> None:
    """One event of a phone is counted at the gateway and at home; nothing of it is told by name."""
    metrics, local = free_port(), free_port()
    async with (
        open_rig(
            tmp_path,
            gateway={"metrics_listen": f"127.0.0.1:{metrics}"},
            home={"local": {"listen": f"127.0.0.1:{local}"}},
        ) as rig,
        aiohttp.ClientSession() as http,
    ):
        body = {"device_feature_external_id": "phone:0", "state": 1}
        async with http.post(f"{rig.url}/v1/api/device/state/{rig.key}", json=body) as answer:
            assert answer.status == 200
        home = await _scraped(http, f"http://127.0.0.1:{local}/metrics")
        gateway = await _scraped(http, f"http://127.0.0.1:{metrics}/metrics")
        async with http.get(f"http://127.0.0.1:{local}/healthz") as answer:
            assert await answer.json() == {"status": 200}
        async with http.get(f"{rig.url}/metrics") as answer:
            assert answer.status == 404
    assert home["gladys_companion_link_up", "{}"] == 1
    assert home["gladys_companion_events_total", '{"kind": "state", "origin": "gateway"}'] == 1
    assert home["gladys_companion_receipt_seconds_count", "{}"] == 1
    assert gateway["gladys_companion_answers_total", '{"route": "device", "status": "200"}'] == 1
    (up,) = [value for (name, _), value in gateway.items() if name == "gladys_companion_home_up"]
    assert up == 1
    told = json.dumps([labels for _, labels in (*home, *gateway)])
    assert rig.key not in told
    assert "phone:0" not in told


def test_the_dashboard_asks_for_what_there_is() -> None:
    """Each metric that a panel of the Grafana dashboard shows is documented."""
    dashboard = json.loads((ROOT / "docs/grafana/gladys-companion.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    names = {re.sub(r"_bucket$", "", name) for one in asked for name in re.findall(r"gladys_companion_([a-z_]+)", one)}
    assert names
    assert names <= DOCUMENTED
