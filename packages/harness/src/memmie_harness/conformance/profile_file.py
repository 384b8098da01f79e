"""Reading profiles from TOML files; an error says which field of which file is wrong, and what is allowed."""

from __future__ import annotations

import difflib
import re
import shlex
import signal
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from memmie_harness.conformance import template
from memmie_harness.conformance.model import MAX_NAME
from memmie_harness.conformance.offers import OFFERS, OfferValue, problem
from memmie_harness.conformance.profile import MAIN, Profile, Setup, Start
from memmie_harness.targets.ready_when import ReadyWhen

T = TypeVar("T")

READY_MADE: Final = Path(__file__).with_name("profiles")
"""The folder of the profiles that can be chosen by name."""

_KINDS: Final[Mapping[type, str]] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dict: "a table",
    list: "a list",
}


class ProfileError(ValueError):
    """A profile cannot be used; the message says where, why, and what is allowed."""


class _Table:
    """A table of the file, whose fields are taken one by one; fields that are left over are errors."""

    def __init__(self, content: Mapping[str, Any], file: Path, where: str = "") -> None:
        self._left = dict(content)
        self._file = file
        self._where = where
        self._known: list[str] = []

    def error(self, field: str, problem: str) -> ProfileError:
        """Return an error about a field."""
        return ProfileError(f"{self._file}: {self._where}{field}: {problem}")

    def take(self, field: str, kind: type[T]) -> T | None:
        """Return the value of a field, or None if there is none."""
        self._known.append(field)
        if field not in self._left:
            return None
        value = self._left.pop(field)
        # In TOML, true is not a number, and 3 is a valid value for a field with a fraction.
        fits = (int, float) if kind is float else kind
        if not isinstance(value, fits) or (isinstance(value, bool) and kind is not bool):
            raise self.error(field, f"must be {_KINDS[kind]}, but is {value!r}")
        if isinstance(value, str):
            self.check_text(field, value)
        return cast("T", float(cast("float", value)) if kind is float else value)

    def check_text(self, field: str, text: str) -> None:
        """Raise a `ProfileError` if a text can be no argument of a program."""
        if "\0" in text:
            raise self.error(field, f"must not have a NUL character, but is {text!r}")

    def require(self, field: str, kind: type[T], example: str) -> T:
        """Return the value of a field that every profile has."""
        value = self.take(field, kind)
        if value is None:
            raise self.error(field, f"is missing; write for example: {field} = {example}")
        return value

    def table(self, field: str) -> _Table:
        """Return a table inside this one, which is empty if the file does not have it."""
        return _Table(self.take(field, dict) or {}, self._file, f"{self._where}{field}.")

    def items(self) -> list[tuple[str, Any]]:
        """Return all fields that are left, and leave none."""
        left, self._left = self._left, {}
        return list(left.items())

    def inner(self, content: Mapping[str, Any], where: str) -> _Table:
        """Return a table in a list of this one."""
        return _Table(content, self._file, f"{self._where}{where}.")

    def finish(self) -> None:
        """Raise a `ProfileError` if a field is left over."""
        for field in self._left:
            raise self.error(field, _unknown(field, self._known))


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"is unknown; {f'did you mean {near[0]!r}?' if near else 'allowed are ' + ', '.join(known)}"


def ready_made() -> list[str]:
    """Return the names of the profiles that come with the kit."""
    return sorted(path.stem for path in READY_MADE.glob("*.toml"))


def load_profile(name_or_file: str) -> Profile:
    """Return a profile.

    Args:
        name_or_file: the name of a profile that comes with the kit, or the path of a file, which has a slash or `.toml`.

    Raises:
        ProfileError: there is no such profile, or it cannot be used.
    """
    if "/" in name_or_file or name_or_file.endswith(".toml"):
        return read_profile(Path(name_or_file))
    if name_or_file not in ready_made():
        raise ProfileError(
            f"there is no profile {name_or_file!r}; choose {', '.join(ready_made())} or the path of a TOML file, such as ./gw.toml"
        )
    return read_profile(READY_MADE / f"{name_or_file}.toml")


def read_profile(path: Path) -> Profile:
    """Return the profile in a file.

    Raises:
        ProfileError: the file cannot be read, or a field is invalid.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}; does the file exist, and may you read it?") from None
    except RecursionError:
        raise ProfileError(f"{path}: its tables or lists are nested too deeply") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: this is not TOML: {error}") from None
    return profile_of(content, path)


def profile_of(content: Mapping[str, Any], path: Path) -> Profile:
    """Return the profile with the content of a TOML file.

    Args:
        content: the parsed file.
        path: the file, for messages and for relative paths.

    Raises:
        ProfileError: a field is invalid.
    """
    root = _Table(content, path)
    name = root.require("name", str, '"my-gateway"')
    if not 0 < len(name) <= MAX_NAME:
        raise root.error("name", f"must have 1 to {MAX_NAME} characters, but is {name[:MAX_NAME]!r}")
    title = root.take("title", str) or name
    for field, text in (("name", name), ("title", title)):
        if not text.isprintable():
            raise root.error(field, f"must have printable characters only, but is {text!r}")
    version = _words(root, "version")
    start_table = root.table("start")
    if "start" not in content:
        raise root.error("start", "is missing; this table says how to start the gateway")
    start = _start(start_table, None, path.parent)
    offers = _offers(root.table("offers"))
    setups = [_checked(Setup(MAIN, start, offers), root)]
    more = root.table("setups")
    for setup_name, setup_content in more.items():
        if not isinstance(setup_content, dict):
            raise more.error(setup_name, f"must be a table, but is {setup_content!r}")
        table = _Table(setup_content, path, f"setups.{setup_name}.")
        own_start = _start(table.table("start"), start, path.parent)
        own_offers = {**offers, **_offers(table.table("offers"))}
        table.finish()
        setups.append(_checked(Setup(setup_name, own_start, own_offers), table))
    known_version = root.take("known_version", str) or ""
    known = _known(root, known_version)
    root.finish()
    return Profile(name, title, setups, version, known, known_version)


def _known(root: _Table, known_version: str) -> dict[str, str]:
    """Return why each test fails that is known to fail: the tables `known`, each with the ids of `tests` and `why`."""
    known: dict[str, str] = {}
    for number, entry in enumerate(root.take("known", list) or []):
        where = f"known[{number}]"
        if not isinstance(entry, dict):
            raise root.error(where, "must be a table; write [[known]]")
        table = root.inner(entry, where)
        why = table.require("why", str, '"what the source or the documentation says"')
        tests = _texts(table, "tests")
        if not tests:
            raise table.error("tests", 'is missing; write for example: tests = ["hostile/no-host"]')
        table.finish()
        for test in tests:
            if test in known:
                raise table.error("tests", f"{test!r} is there twice")
            known[test] = why
    if known and not known_version:
        raise root.error(
            "known_version", "is missing; it says which version of the gateway these tests failed with"
        )
    return known


def _texts(table: _Table, field: str) -> list[str] | None:
    texts = table.take(field, list)
    if texts is not None and not all(isinstance(text, str) and text for text in texts):
        raise table.error(field, f"must be a list of texts, but is {texts!r}")
    for text in texts or ():
        table.check_text(field, text)
    return texts


def _start(table: _Table, base: Start | None, folder: Path) -> Start:
    """Return how to start the gateway; what a table of a setup does not say is as in the profile's own table."""
    command = _words(table, "command")
    image = table.take("image", str)
    url = table.take("url", str)
    if not command and not image and not url and base is None:
        table.require("command", str, '"./gw --port {PORT} --backends {STUDIO_WS_URLS}"')
    if url and (command or image or not _is_http_with_port(url)):
        raise table.error(
            "url", "must be http://127.0.0.1:PORT, and there must be no command and no image besides it"
        )
    start = base or Start(folder=folder)
    env = dict(start.env)
    env_table = table.table("env")
    for name, value in env_table.items():
        if not isinstance(value, str):
            raise env_table.error(name, f'must be a text, but is {value!r}; write {name} = "{value}"')
        if not name or "=" in name or "\0" in name:
            raise table.error("env", f"{name!r} is not the name of a variable")
        env_table.check_text(name, value)
        env[name] = value
    config = table.take("config", str)
    if config is not None and not (folder / config).is_file():
        raise table.error("config", f"there is no file {folder / config}")
    auth_port = table.take("auth_port", int)
    if auth_port is not None and not _is_port(auth_port):
        raise table.error("auth_port", f"must be a port, such as 8001, but is {auth_port!r}")
    changes: dict[str, Any] = {
        "command": command or None,
        "programs": _texts(table, "programs"),
        "requires": _texts(table, "requires"),
        "install": table.take("install", str),
        "image": image,
        "image_command": _words(table, "image_command") or None,
        "url": url,
        "auth_port": auth_port,
        "studio_ports": _ports(table),
        "config": folder / config if config is not None else None,
        "ready": _readiness(table),
        "stop_signal": _signal(table),
        "start_seconds": _positive(table, "start_seconds"),
        "stop_seconds": _positive(table, "stop_seconds"),
        "patience_seconds": _positive(table, "patience_seconds"),
        "one_at_a_time": table.take("one_at_a_time", bool),
    }
    table.finish()
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(start, env=env, **given)


def _words(table: _Table, field: str) -> Sequence[str]:
    text = table.take(field, str)
    if text is None:
        return ()
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise table.error(field, f"cannot be split into words ({error}); check its quotes") from None
    if not words:
        raise table.error(field, "is empty")
    return words


def _readiness(table: _Table) -> ReadyWhen | None:
    ready = table.table("ready")
    log, port, path = ready.take("log", str), ready.take("port", bool), ready.take("path", str)
    ready.finish()
    if log is None and port is None and path is None:
        return None
    if path is not None and not path.startswith("/"):
        raise ready.error("path", f'must begin with a slash, such as "/ready", but is {path!r}')
    try:
        pattern = None if log is None else re.compile(log)
    except re.error as error:
        raise ready.error("log", f"is not a regular expression ({error}): {log!r}") from None
    return ReadyWhen(pattern, bool(port), path)


def _is_http_with_port(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname and parts.port)
    except ValueError:  # such as a port above 65535
        return False


def _is_port(value: object) -> bool:
    return type(value) is int and 0 < value < 65536


def _ports(table: _Table) -> list[int] | None:
    ports = table.take("studio_ports", list)
    if ports is not None and not all(map(_is_port, ports)):
        raise table.error("studio_ports", f"must be ports, such as [8010, 8011], but is {ports!r}")
    return ports


def _signal(table: _Table) -> signal.Signals | None:
    name = table.take("stop_signal", str)
    if name is None:
        return None
    try:
        return signal.Signals["SIG" + name.upper().removeprefix("SIG")]
    except KeyError:
        raise table.error(
            "stop_signal", f"{name!r} is not a signal; write for example TERM, INT or QUIT"
        ) from None


def _positive(table: _Table, field: str) -> float | None:
    value = table.take(field, float)
    if value is not None and not value > 0:
        raise table.error(field, f"must be more than 0 seconds, but is {value!r}")
    return value


def _offers(table: _Table) -> dict[str, OfferValue]:
    offers: dict[str, OfferValue] = {}
    for name in OFFERS:
        kind = OFFERS[name].kind
        value = table.take(name, kind)
        if value is None:
            continue
        if why := problem(name, value):
            raise table.error(name, why)
        offers[name] = value
    table.finish()
    return offers


def _checked(setup: Setup, table: _Table) -> Setup:
    """Raise a `ProfileError` if a template of a setup has a placeholder without a value."""
    start = setup.start
    if start.studio_ports and len(start.studio_ports) != setup.studios:
        raise table.error(
            "start.studio_ports", f"must have {setup.studios} ports, as the offer `studios` says"
        )
    if start.url and not (start.auth_port and start.studio_ports):
        raise table.error(
            "start.url", "needs auth_port and studio_ports, to which the running gateway connects"
        )
    if start.url and setup.offers.get("tls"):
        raise table.error("offers.tls", "needs start.command, because the kit makes the certificate")
    check_placeholders(setup, table.error)
    return setup


def check_placeholders(setup: Setup, error: Callable[[str, str], ValueError]) -> None:
    """Check that every placeholder in the templates of a setup has a value.

    Args:
        setup: the setup.
        error: makes an error of a field and a problem.

    Raises:
        ValueError: one has none; made by `error`.
    """
    start = setup.start
    texts = {
        "start.command": " ".join(start.command),
        "start.image_command": " ".join(start.image_command),
    }
    texts |= {f"start.env.{name}": value for name, value in start.env.items()}
    if start.config is not None:
        try:
            texts[f"start.config ({start.config.name})"] = start.config.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as unreadable:
            raise error("start.config", f"{start.config.name} is not a text in UTF-8: {unreadable}") from None
    for where, text in texts.items():
        for name in sorted(template.names_in(text)):
            if not template.known(name):
                names = template.names_for(setup.studios)
                near = _unknown("{" + name + "}", ["{" + known + "}" for known in names])
                raise error(where, f"the placeholder {{{name}}} {near} (write {{{{ for a brace that stays)")
            number = name.removeprefix("STUDIO_ADDRESS_").removeprefix("STUDIO_PORT_")
            if number.isdecimal() and int(number) > setup.studios:
                raise error(where, f"{{{name}}} needs the offer studios = {number} or more")
            if name.startswith("TLS_") and not setup.offers.get("tls"):
                raise error(where, f"{{{name}}} needs the offer tls = true")
            if name == "PROGRAM" and not start.programs:
                raise error(where, '{PROGRAM} needs its names; write start.programs = ["NAME"]')
            if name == "CONFIG" and start.config is None:
                raise error(where, '{CONFIG} needs a template; write start.config = "FILE"')
