"""Lets failed assertions of the suites show their values."""

import pytest

pytest.register_assert_rewrite("gladys_companion.sim.conformance", "gladys_companion.sim.sink_conformance")
