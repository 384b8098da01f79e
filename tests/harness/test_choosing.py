"""The options about the gateway under test, and what the chosen gateway offers to a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memmie_harness.choosing import Options, choose
from memmie_harness.client import TokenPlace
from memmie_harness.stack_request import StackRequest
from memmie_harness.targets import NotOfferedError

COMMAND = "./gw --auth {AUTH_URL} --backends {STUDIO_WS_URLS} --port {PORT} --json {{}"
ANY = StackRequest(2, {}, any_studios=True)
RUNNING = 'name = "gw"\n[start]\nurl = "http://127.0.0.1:7"\nauth_port = 8\nstudio_ports = [9, 10]\n[offers]\nstudios = 2\n'


def profile_file(folder: Path, text: str) -> str:
    path = folder / "gw.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            Options("docker"),
            "--memmie-target: 'docker' is not a target. Choose process, inprocess, command, ",
        ),
        (Options("command"), "--memmie-target=command needs --memmie-command or --memmie-profile"),
        (Options("command", command="'"), "--memmie-command: it cannot be split into words (No closing quot"),
        (Options("command", command=" "), "--memmie-command: it is empty"),
        (
            Options("command", command="./gw {PROT}"),
            "--memmie-command: the placeholder {PROT} is unknown; did",
        ),
        (
            Options("command", command="./gw {CONFIG}"),
            "--memmie-command: {CONFIG} needs --memmie-config-template",
        ),
        (
            Options("command", command="./gw", config_template="gone.conf"),
            "--memmie-config-template: there is no file gone.conf",
        ),
        (Options(command="./gw"), "--memmie-command needs --memmie-target=command or container"),
        (
            Options("process", config_template="x"),
            "--memmie-config-template needs --memmie-target=command or container",
        ),
        (Options(ready=["port"]), "--memmie-ready needs --memmie-target=command, container or a URL"),
        (
            Options("http://h", ready=["soon"]),
            "--memmie-ready: 'soon' is not `port`, a path such as /ready, or",
        ),
        (Options("http://h", ready=["log=("]), "--memmie-ready: not a regular expression (missing ), "),
        (Options("command", image="x", command="./gw"), "--memmie-image needs --memmie-target=container"),
        (
            Options("container", command="serve"),
            "--memmie-command, --memmie-config-template and --memmie-ready",
        ),
        (
            Options("container", profile="websockets"),
            "--memmie-target=container: the profile names no image; ",
        ),
        (Options("inprocess", profile="nginx"), "--memmie-profile says how the gateway is started, so "),
        (Options(profile="nobody"), "--memmie-profile: there is no profile 'nobody'; choose "),
    ],
)
def test_options_that_do_not_fit_are_refused(options: Options, message: str) -> None:
    with pytest.raises(ValueError, match=r"^" + re.escape(message)):
        choose(options)


def test_a_profile_without_a_command_needs_one(tmp_path: Path) -> None:
    options = Options("command", profile=profile_file(tmp_path, RUNNING))
    with pytest.raises(ValueError, match=r"^--memmie-target=command: the profile has no command"):
        choose(options)


def test_a_command_is_a_small_profile(tmp_path: Path) -> None:
    (tmp_path / "gw.conf").write_text("auth {AUTH_ADDRESS}")
    options = Options("command", command=f"{COMMAND} {{CONFIG}}", config_template="gw.conf", folder=tmp_path)
    chosen = choose(options).for_test(ANY)

    assert chosen.setup is not None
    start = chosen.setup.start
    assert start.words[:3] == ["./gw", "--auth", "{AUTH_URL}"]
    assert (start.folder, start.config, start.ready.port) == (tmp_path, tmp_path / "gw.conf", True)
    assert start.env["STUDIO_WS_URLS"] == "{STUDIO_WS_URLS}"
    assert (chosen.has_fakes, chosen.url, chosen.takes_tokens, chosen.studios) == (True, None, True, 2)


def test_a_command_with_single_addresses_has_as_many_studios() -> None:
    command = "./gw {PORT} {STUDIO_ADDRESS_1} {STUDIO_ADDRESS_3}"
    assert choose(Options("command", command=command)).for_test(ANY).studios == 3


def test_the_ways_to_be_ready_are_combined() -> None:
    ready = choose(Options("http://h", ready=["port", "/up", "log=on (?P<port>[0-9]+)"])).ready
    assert ready is not None
    assert ready.log is not None
    assert (ready.port, ready.path, ready.log.pattern) == (True, "/up", "on (?P<port>[0-9]+)")


def test_an_image_takes_the_command_of_the_option_or_of_the_profile() -> None:
    described = choose(Options("container", image="gw:1", command="--port {PORT}")).for_test(ANY)
    ours = choose(Options("container", image="gw:1", profile="memmie")).for_test(ANY)

    assert described.setup is not None
    assert ours.setup is not None
    starts = (described.setup.start, ours.setup.start)
    assert [(start.runs_image, start.image) for start in starts] == [(True, "gw:1"), (True, "gw:1")]
    assert [start.words for start in starts] == [["--port", "{PORT}"], ()]
    assert choose(Options("container", image="ours:1")).for_test(ANY).setup is None


def test_a_gateway_that_already_runs_names_what_it_does_not_offer() -> None:
    choice = choose(Options("ws://gw.test:1/ws"))
    asked = StackRequest(3, {"MAX_CONNECTIONS": "1"}, needs=frozenset(["drain"]))
    with pytest.raises(
        NotOfferedError,
        match=r"^not offered: drain, MAX_CONNECTIONS=1, studios=3; the gateway at ws://gw.test:1/ws already runs",
    ):
        choice.for_test(asked)
    chosen = choice.for_test(ANY)

    with pytest.raises(NotOfferedError, match=r"^not offered: memmie_studios; the gateway at"):
        chosen.require_fakes("memmie_studios")
    with pytest.raises(NotOfferedError, match=r"^not offered: memmie_start_gateway; the gateway at"):
        chosen.require_start("memmie_start_gateway")
    assert chosen.running().ws_url == "ws://gw.test:1/ws"


def test_a_gateway_that_already_runs_can_have_the_fakes_of_the_test(tmp_path: Path) -> None:
    choice = choose(Options(profile=profile_file(tmp_path, RUNNING)))
    chosen = choice.for_test(ANY)

    assert (chosen.has_fakes, chosen.auth_port, chosen.studio_ports, chosen.studios) == (True, 8, [9, 10], 2)
    chosen.require_fakes("memmie_auth")
    assert choice.for_test(StackRequest(2, {})).studios == 2
    with pytest.raises(NotOfferedError, match=r"^not offered: A=1, studios=3; the gateway at"):
        choice.for_test(StackRequest(3, {"A": "1"}))


def test_an_address_can_have_the_offers_of_a_profile() -> None:
    choice = choose(Options("http://gw.test:1", profile="memmie"))
    chosen = choice.for_test(StackRequest(2, {}, needs=frozenset(["drain"]), any_studios=True))

    assert (chosen.has_fakes, chosen.url) == (False, "http://gw.test:1")
    with pytest.raises(NotOfferedError, match=r"^not offered: studios=2; the gateway at"):
        choice.for_test(StackRequest(2, {}))


def test_a_test_gets_the_setup_that_offers_what_it_needs() -> None:
    choice = choose(Options(profile="memmie"))
    chosen = choice.for_test(StackRequest(4, {"A": "1"}, needs=frozenset(["ping_seconds"])))

    assert chosen.setup is not None
    assert (chosen.setup.name, chosen.studios) == ("keepalive", 4)


def test_a_profile_names_what_it_does_not_offer() -> None:
    choice = choose(Options(profile="nginx"))
    with pytest.raises(NotOfferedError, match=r"^not offered: drain; the profile nginx says so$"):
        choice.for_test(StackRequest(1, {}, needs=frozenset(["drain", "auth"])))
    with pytest.raises(NotOfferedError, match=r"^not offered: studios=3; the profile nginx says so$"):
        choice.for_test(StackRequest(3, {}))
    assert choice.for_test(ANY).studios == 1


@pytest.mark.parametrize(
    ("offers", "place"),
    [
        ("token_header = true\ntoken_query = 't'", TokenPlace()),
        ("token_query = 't'\ntoken_subprotocol = 'b'", TokenPlace(query="t")),
        ("token_subprotocol = 'b'", TokenPlace(subprotocol="b")),
    ],
)
def test_clients_put_their_token_where_the_profile_says(
    tmp_path: Path, offers: str, place: TokenPlace
) -> None:
    text = f'name = "gw"\n[start]\ncommand = "gw {{PORT}}"\n[offers]\nauth = true\npath = "/chat"\n{offers}\n'
    chosen = choose(Options(profile=profile_file(tmp_path, text))).for_test(ANY)
    assert (chosen.takes_tokens, chosen.token_place) == (True, place)


def test_a_gateway_without_auth_takes_no_token() -> None:
    assert not choose(Options(profile="websockets")).for_test(ANY).takes_tokens


def test_a_template_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "gw.conf").write_bytes(b"\xff\xfe")
    options = Options(target="command", command="gw {CONFIG}", config_template="gw.conf", folder=tmp_path)
    with pytest.raises(ValueError, match=r"^--memmie-config-template: .*gw\.conf is not a text in UTF-8"):
        choose(options)
