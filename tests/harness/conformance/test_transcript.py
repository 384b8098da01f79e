from __future__ import annotations

from memmie_harness.conformance.transcript import (
    KEPT_HEAD,
    KEPT_TAIL,
    MAX_ENTRIES,
    Transcript,
    digest,
    escape,
    hide,
)


def test_bytes_are_escaped() -> None:
    assert escape(b'GET / HTTP/1.1\r\n\x00\xff"\\') == 'GET / HTTP/1.1\\r\\n\\x00\\xff"\\\\'
    assert escape(b"x" * 5000).startswith("xxx")
    assert "[… 4100 bytes …]" in escape(b"x" * 5000)


def test_consecutive_bytes_of_one_peer_are_one_entry() -> None:
    transcript = Transcript()
    for verb, data in (("sent", b"a"), ("sent", b"b"), ("got", b"c"), ("sent", b"d")):
        transcript.add("client", verb, data)
    assert transcript.lines([]) == ["client sent: ab", "client got: c", "client sent: d"]


def test_a_token_is_hidden_however_it_was_cut() -> None:
    token = "secret-token"
    transcript = Transcript()
    for byte in f"Authorization: Bearer {token}\r\n".encode():
        transcript.add("client", "sent", bytes([byte]))
    (line,) = transcript.lines([token])
    assert line == f"client sent: Authorization: Bearer {digest(token)}\\r\\n"
    assert hide(f"seen {token}", [token]) == f"seen {digest(token)}"


def test_a_token_at_the_place_where_bytes_are_left_out_is_hidden() -> None:
    token = "secret-token"
    for size in (1000, 20_000):
        transcript = Transcript()
        transcript.add("client", "sent", b"x" * (KEPT_HEAD - 5) + token.encode() + b"y" * size)
        assert "secr" not in transcript.lines([token])[0]
        transcript = Transcript()
        transcript.add("client", "sent", b"y" * size + token.encode() + b"x" * (KEPT_TAIL - 5))
        assert "oken" not in transcript.lines([token])[0].replace("[token", "")


def test_the_longer_of_two_tokens_is_hidden_as_a_whole() -> None:
    assert hide("abcdef", ["abc", "abcdef"]) == digest("abcdef")


def test_a_long_exchange_keeps_its_beginning_and_its_end() -> None:
    transcript = Transcript()
    for number in range(100):
        transcript.add("client", "sent", b"%d" % number)
        transcript.add("studio", "got", b"%d" % number)
    lines = transcript.lines([])
    assert len(lines) == 2 * MAX_ENTRIES + 1
    assert lines[0] == "client sent: 0"
    assert lines[MAX_ENTRIES] == f"[… {200 - 2 * MAX_ENTRIES} entries …]"
    assert lines[-1] == "studio got: 99"
