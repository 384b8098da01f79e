"""`pytest --pyargs memmie_harness.conformance --memmie-profile=NAME`: the same tests, reported by pytest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from memmie_harness.conformance.installed import not_installed
from memmie_harness.conformance.profile import Profile
from memmie_harness.conformance.session import Session


@pytest.fixture(scope="session")
def conformance_profile(_memmie_profile: Profile | None) -> Profile:
    """The profile that the command line names or describes."""
    if _memmie_profile is None:
        pytest.exit("the conformance tests need --memmie-profile=NAME or FILE", returncode=4)
    if missing := not_installed(_memmie_profile):
        pytest.exit(missing, returncode=4)
    return _memmie_profile


@pytest.fixture(scope="session")
def conformance_session(conformance_profile: Profile) -> Iterator[Session]:
    """Gateways that are started when a test needs them, and stopped at the end."""
    with Session(conformance_profile) as session:
        yield session
