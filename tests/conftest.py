"""Rules for all tests: chance repeats itself in CI, missing programs are told, and nothing may block the event loop."""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import structlog
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from tests.needs import program

pytest_plugins = ["tests.esphome", "tests.networks", "tests.npm_modules"]

# A loaded machine is slow without being wrong, so neither time nor a slow start fails an example.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """End a test marked `needs` before it starts where a program is missing."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            program(name)


# These announce or look for devices by mDNS on the one loopback, and would hear each other.
MDNS = (
    "conformance/*",
    "integration/test_d*",
    "integration/test_network*",
    "integration/test_s*",
    "integration/test_w*",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests together when several processes run them, and those of all files that use mDNS."""
    for item in items:
        name = item.path.relative_to(Path(__file__).parent).as_posix()
        shared = any(fnmatch(name, pattern) for pattern in MDNS)
        item.add_marker(pytest.mark.xdist_group("mDNS" if shared else name))


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    """Log to where pytest shows it, without the pretty tracebacks that read source files while the loop waits."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])


@pytest.fixture(autouse=True)
def loop_is_never_blocked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail what blocks the event loop from our own code; `@pytest.mark.may_block("why")` opts out."""
    mark = request.node.get_closest_marker("may_block")
    if mark is not None:
        if not mark.args:
            pytest.fail("may_block needs its reason: @pytest.mark.may_block('why')")
        yield
        return
    with blockbuster_ctx("gladys_companion"):
        yield
