from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tests.harness.conformance.made_reports import HOSTILE, row, saved

from memmie_harness.conformance.matrix.markdown import as_markdown
from memmie_harness.conformance.matrix.table import matrix_of
from memmie_harness.conformance.matrix.text import visible

TEXTS = st.text(max_size=30) | st.text("`|\\<>&*_[]()!~:/w. \n", max_size=30)


PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def parsed(page: str) -> list[Token]:
    return PARSER.parse(page)


def cells(page: str) -> list[str]:
    """Return the text of each cell, as it is read; anything but text and code fails."""
    found = []
    tokens = parsed(page)
    for before, token in itertools.pairwise(tokens):
        if before.type in {"th_open", "td_open"}:
            inner = token.children or []
            assert {each.type for each in inner} <= {
                "text",
                "text_special",
                "code_inline",
                "strong_open",
                "strong_close",
            }
            found.append("".join(each.content for each in inner))
    return found


def blocks(page: str) -> list[str]:
    return [token.type for token in parsed(page)]


def test_the_page_has_the_command_the_matrix_and_what_failed() -> None:
    failed = row("closes/more", "failed", title="`a|b` and `c`", note="known | documented")
    reports = [
        saved(row(), row("closes/b", "not_offered"), target="one", one="1.0"),
        saved(row(outcome="error"), failed, target="two"),
    ]
    matrix = matrix_of(reports, {"closes": "Ends"}, absent=["three"], command="memmie conformance --all")

    page = as_markdown(matrix)

    assert page.startswith(
        "# Conformance matrix\n\nWritten by this command:\n\n```sh\nmemmie conformance --all\n```\n\n"
    )
    assert "| Ends | ✓ 1 – 1 | ✗ 1 ! 1 |\n| **all** | ✓ 1 – 1 | ✗ 1 ! 1 |\n" in page  # noqa: RUF001 - as it is
    assert "Not installed: three." in page
    assert cells(page)[-8:] == [
        *("! closes/code-1000-up", "Title of closes/code-1000-up", "RFC 6455 §5.5.1 (must)"),
        "expected a Close frame; seen: nothing",
        *("✗ closes/more", "a|b and c", "RFC 6455 §5.5.1 (must)", "known | documented"),
    ]
    assert "`a\\|b` and `c`" in page


def test_without_a_failure_the_page_says_so() -> None:
    assert as_markdown(matrix_of([saved(row())], {})).endswith("could not be run\n\nNone.\n")


def check(text: str) -> None:
    """No text of a report changes the structure of the page, and each is shown as it is."""

    def page(text: str) -> str:
        evidence = {"expected": text, "seen": text}
        hostile = saved(
            row("a/a", "failed", title=text, rule=text[:300], note=text),
            row("a/b", "error", title=text, rule=text[:300], evidence=evidence),
            **{"target": text[:100] or "gw", text[:100] or "gw": text[:300]},
        )
        return as_markdown(matrix_of([hostile], {}, absent=[text]))

    plain, shown = page("plain"), page(text)

    assert blocks(shown) == blocks(plain)
    assert len(cells(shown)) == len(cells(plain))
    why = visible(text).strip() if text else "expected a Close frame; seen: nothing"
    assert cells(shown)[-5] == why


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    check(text)


@settings(deadline=None, max_examples=50)
@given(TEXTS)
def test_any_text_stays_text(text: str) -> None:
    check(text)
