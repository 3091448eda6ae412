"""Rules for all tests: chance repeats itself in CI, missing programs are told, and nothing may block the event loop."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from tests.dealing import Dealer
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


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Dealer:  # noqa: ANN401 - of xdist, without a type
    """Say what stays together where several processes run the tests."""
    return Dealer(config, log)


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    """Log to where pytest shows it, without the pretty tracebacks that read source files while the loop waits."""
    structlog.reset_defaults()  # a command that ran in this process may have silenced all but errors
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
