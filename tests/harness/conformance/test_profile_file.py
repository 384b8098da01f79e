from __future__ import annotations

import signal
from pathlib import Path

import pytest

from memmie_harness.conformance import profile_file
from memmie_harness.conformance.profile_file import ProfileError, load_profile, read_profile, ready_made

SMALL = """
name = "gw"

[start]
command = "./gw --port {PORT} 'two words'"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "gw.toml"
    path.write_text(text)
    return path


def test_a_small_profile_has_defaults(tmp_path: Path) -> None:
    profile = read_profile(write(tmp_path, SMALL))

    start = profile.main.start
    assert (profile.name, profile.title, profile.main.studios) == ("gw", "gw", 1)
    assert start.command == ["./gw", "--port", "{PORT}", "two words"]
    assert (start.ready.port, start.ready.log, start.folder) == (True, None, tmp_path)
    assert start.stop_signal is signal.SIGTERM


def test_a_setup_changes_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    text = """
    name = "gw"
    [start]
    command = "gw"
    ready.path = "/ready"
    stop_signal = "quit"
    env = { A = "1", B = "2" }
    [offers]
    auth = true
    message_bytes = 1000
    [setups.pings]
    start.env = { B = "3" }
    offers = { ping_seconds = 1, auth = false }
    """
    profile = read_profile(write(tmp_path, text))
    main, pings = profile.setups

    assert pings.start.env == {"A": "1", "B": "3"}
    assert (pings.start.ready.path, pings.start.stop_signal) == ("/ready", signal.SIGQUIT)
    assert pings.offers == {"auth": False, "message_bytes": 1000, "ping_seconds": 1.0}
    assert main.offers == {"auth": True, "message_bytes": 1000}
    assert profile.setup_for(["auth"]) is main
    assert profile.setup_for(["message_bytes", "ping_seconds"]) is pings
    assert profile.setup_for(["auth", "ping_seconds"]) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 1", "gw.toml: name: must be a text, but is 1"),
        ("", 'gw.toml: name: is missing; write for example: name = "my-gateway"'),
        ('name = "gw"', "gw.toml: start: is missing"),
        ('name = "gw"\n[start]', 'start.command: is missing; write for example: command = "./gw'),
        (SMALL.replace("'two", "two"), "start.command: cannot be split into words (No closing quotation)"),
        (
            SMALL.replace("PORT", "STUDIO_ADRESS_1"),
            "the placeholder {STUDIO_ADRESS_1} is unknown; did you mean '{STUDIO_ADDRESS_1}'?",
        ),
        (
            SMALL.replace("PORT", "PROT"),
            "start.command: the placeholder {PROT} is unknown; did you mean '{PORT}'?",
        ),
        (SMALL.replace("{PORT}", "{TLS_PORT}"), "{TLS_PORT} needs the offer tls = true"),
        (SMALL.replace("{PORT}", "{CONFIG}"), '{CONFIG} needs a template; write start.config = "FILE"'),
        (SMALL.replace("{PORT}", "{STUDIO_ADDRESS_2}"), "{STUDIO_ADDRESS_2} needs the offer studios = 2"),
        (SMALL + "comand = 'x'", "start.comand: is unknown; did you mean 'command'?"),
        (SMALL + "config = 'gone.conf'", "start.config: there is no file"),
        (SMALL + "stop_signal = 'STOPP'", "'STOPP' is not a signal; write for example TERM"),
        (SMALL + "start_seconds = 0", "start.start_seconds: must be more than 0 seconds, but is 0.0"),
        (SMALL + "start_seconds = true", "start.start_seconds: must be a number, but is True"),
        (SMALL + "env = { A = 1 }", 'start.env.A: must be a text, but is 1; write A = "1"'),
        (SMALL + "ready.path = 'ready'", 'start.ready.path: must begin with a slash, such as "/ready"'),
        (SMALL + "ready.log = '('", "start.ready.log: is not a regular expression"),
        (SMALL + "ready.port = 1", "start.ready.port: must be true or false, but is 1"),
        (
            SMALL + "url = 'http://127.0.0.1:1'",
            "start.url: must be http://127.0.0.1:PORT, and there must be no command",
        ),
        (SMALL + "[offers]\nauht = true", "offers.auht: is unknown; did you mean 'auth'?"),
        (
            SMALL + "[offers]\nmessage_bytes = true",
            "offers.message_bytes: must be a whole number, but is True",
        ),
        (SMALL + "[offers]\nuser_query = ''", "offers.user_query: must not be ''; leave the field out"),
        *(
            (SMALL + f"[offers]\n{field}", f"offers.{field.partition(' ')[0]}: {message}")
            for field, message in (
                ("studios = -3", "must be more than 0"),
                ("studios = 1000000", "must be at most 50"),
                ("ping_seconds = -1", "must be more than 0"),
                ("ping_seconds = inf", "must be more than 0 and finite"),
                ("ping_seconds = nan", "must be more than 0 and finite"),
                ("path = 'ws'", "must begin with a slash"),
                ("metrics_path = 'metrics'", "must begin with a slash"),
                ("path = '/ws?a=1'", "must begin with a slash and have no query"),
                ("path = '/w s'", "must have printable ASCII characters and no blank"),
                (r'user_header = "X-User\r\nX: 1"', "must have printable ASCII characters and no blank"),
            )
        ),
        ("name = " + "[" * 5000, "its tables or lists are nested too deeply"),
        (SMALL.replace("gw", r"g\u001b[31mw", 1), "name: must have printable characters only"),
        (
            SMALL.replace("two words'\"", r"""two\u0000words'" """),
            "start.command: must not have a NUL character",
        ),
        (SMALL + r'env = { A = "\u0000" }', "start.env.A: must not have a NUL character"),
        (SMALL + 'env = { "A=B" = "c" }', "start.env: 'A=B' is not the name of a variable"),
        (SMALL + r'programs = ["a\u0000"]', "start.programs: must not have a NUL character"),
        *(
            (f'name = "gw"\n[start]\nurl = "{url}"', "start.url: must be http://127.0.0.1:PORT")
            for url in ("http://127.0.0.1:99999", "http://[::1", "http://:80", "http://127.0.0.1", "ws://a:1")
        ),
        (
            'name = "gw"\n[start]\nurl = "http://127.0.0.1:8000"\nauth_port = -70000\nstudio_ports = [2]',
            "start.auth_port: must be a port",
        ),
        (SMALL + "[setups]\npings = 1", "setups.pings: must be a table, but is 1"),
        (SMALL + "[setups.pings]\nstrat = 1", "setups.pings.strat: is unknown; did you mean 'start'?"),
        (SMALL + "[other]", "gw.toml: other: is unknown"),
        ("name = ", "gw.toml: this is not TOML"),
        (
            'name = "gw"\n[start]\nurl = "http://127.0.0.1:8000"',
            "start.url: needs auth_port and studio_ports",
        ),
        (
            'name = "gw"\n[start]\nurl = "http://127.0.0.1:8000"\nauth_port = 1\nstudio_ports = ["x"]',
            "start.studio_ports: must be ports",
        ),
        (
            'name = "gw"\n[start]\nurl = "http://127.0.0.1:8000"\nauth_port = 1\nstudio_ports = [2]\n[offers]\ntls = true',
            "offers.tls: needs start.command",
        ),
    ],
)
def test_an_invalid_field_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read_profile(write(tmp_path, text))

    assert message in str(caught.value)


def test_a_template_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "gw.conf").write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match=r"start\.config: gw\.conf is not a text in UTF-8"):
        read_profile(write(tmp_path, SMALL + 'config = "gw.conf"'))


def test_a_missing_file_and_an_unknown_name_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"gone\.toml: No such file or directory"):
        load_profile(str(tmp_path / "gone.toml"))
    with pytest.raises(ProfileError, match="there is no profile 'memmi'; choose aiohttp, caddy"):
        load_profile("memmi")


@pytest.mark.parametrize("name", ready_made())
def test_the_profiles_of_the_kit_are_valid(name: str) -> None:
    assert load_profile(name).name == name
    assert (profile_file.READY_MADE / f"{name}.toml").read_text().startswith("#")


def test_an_image_is_run_where_there_is_no_command(tmp_path: Path) -> None:
    profile = read_profile(
        write(tmp_path, 'name = "gw"\n[start]\nimage = "gw:1"\nimage_command = "--port {PORT}"\n')
    )
    assert (profile.main.start.runs_image, profile.main.start.words) == (True, ["--port", "{PORT}"])


def test_an_image_can_take_the_place_of_the_command(tmp_path: Path) -> None:
    profile = read_profile(
        write(tmp_path, 'name = "gw"\n[start]\ncommand = "gw {PORT}"\nimage_command = "{PORT}"\n')
    )
    assert (profile.main.start.runs_image, profile.main.start.words) == (False, ["gw", "{PORT}"])

    start = profile.with_image("gw:2").main.start
    assert (start.runs_image, start.image, start.words) == (True, "gw:2", ["{PORT}"])
