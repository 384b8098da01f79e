"""A faithful fake of the Studio service (spec §4), with faults on demand."""

from memmie_fake_studio.connection import Connection
from memmie_fake_studio.settings import StudioSettings
from memmie_fake_studio.studio import FakeStudio

__all__ = ["Connection", "FakeStudio", "StudioSettings"]
