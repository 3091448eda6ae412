"""`demo --once --json`: what a new user tries first, the whole path in one process."""

import json
import subprocess
import sys

COMMAND = [sys.executable, "-c", "from gladys_companion.cli import main; main()", "demo"]


def test_demo_shows_every_hop() -> None:
    """To each kind of device an event goes by gateway and home and back; each hop is told, and the exit code agrees."""
    ended = subprocess.run([*COMMAND, "--once", "--json"], capture_output=True, text=True, timeout=55, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    trace = json.loads(ended.stdout)
    assert trace["ok"]
    assert len(trace["others"]) == 2
    for one, device in zip((trace, *trace["others"]), ("wled lamp", "shelly plug", "elgato light"), strict=True):
        hops = ["phone", "gateway", "gateway", "home", *device.split(), "phone"]
        assert [hop["hop"] for hop in one["hops"]] == hops
        assert all(hop["ok"] for hop in one["hops"])
        assert one["receipt"]["outcome"] == "delivered"
        assert one["gateway"]["id"] == one["home"]["id"] == one["id"]
    assert "Traceback" not in ended.stderr


def test_demo_that_stays_says_where_to_look() -> None:
    """With --json the traces alone are on stdout; the address of the page and what to try are on stderr."""
    with subprocess.Popen([*COMMAND, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = ""
        while "-d '{" not in told:
            told += process.stderr.readline()
        process.terminate()
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(out)["ok"]
    assert "Look:  http://127.0.0.1:" in told
    assert "Try:   curl http://127.0.0.1:" in told


def test_demo_for_people() -> None:
    """Without --json the same is a table, and nothing else is printed."""
    ended = subprocess.run([*COMMAND, "--once"], capture_output=True, text=True, timeout=55, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for device in ("lamp", "plug", "light"):
        assert f"A phone says: mqtt:demo-{device} = 1" in ended.stdout
    assert ended.stdout.endswith("Every hop worked.\n")
    assert ended.stderr == ""
