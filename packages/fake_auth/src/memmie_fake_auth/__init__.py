"""A faithful fake of the Auth service (spec §5), with faults on demand."""

from memmie_fake_auth.auth import FakeAuth
from memmie_fake_auth.settings import AuthSettings
from memmie_fake_auth.tokens import TokenKind

__all__ = ["AuthSettings", "FakeAuth", "TokenKind"]
