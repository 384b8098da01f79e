"""`pytest --pyargs memmie_harness.conformance --memmie-profile=NAME`: the same tests, reported by pytest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from memmie_harness.conformance.installed import not_installed
from memmie_harness.conformance.profile import Profile
from memmie_harness.conformance.profile_file import ProfileError, load_profile
from memmie_harness.conformance.session import Session


@pytest.fixture(scope="session")
def conformance_profile(pytestconfig: pytest.Config) -> Profile:
    """The profile on the command line."""
    name = pytestconfig.getoption("--memmie-profile")
    if name is None:
        pytest.exit("the conformance tests need --memmie-profile=NAME or FILE", returncode=4)
    try:
        profile = load_profile(name)
    except ProfileError as error:
        pytest.exit(f"--memmie-profile: {error}", returncode=4)
    if missing := not_installed(profile):
        pytest.exit(missing, returncode=4)
    return profile


@pytest.fixture(scope="session")
def conformance_session(conformance_profile: Profile) -> Iterator[Session]:
    """Gateways that are started when a test needs them, and stopped at the end."""
    with Session(conformance_profile) as session:
        yield session
