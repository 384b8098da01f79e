from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.docs.page import opened
from tests.docs.programs import browser, running
from tests.harness.conformance.made_reports import HOSTILE, row, saved

from memmie_harness.conformance.matrix.comparison import compare_runs
from memmie_harness.conformance.matrix.page import as_html
from memmie_harness.conformance.matrix.saved import SavedReport
from memmie_harness.conformance.matrix.table import matrix_of
from memmie_harness.conformance.matrix.text import visible

VOID = {"meta", "rect"}
ATTRIBUTES = {
    *("lang", "charset", "content", "name", "http-equiv", "class", "id", "href", "scope", "dir", "tabindex"),
    *("open", "aria-hidden", "viewbox", "preserveaspectratio", "x", "width", "height"),
}
TEXTS = st.text(max_size=30) | st.text("<>&\"'`=/!-{}% \n\0ax", max_size=30)


@dataclass
class Page(HTMLParser):
    """A page taken apart; an end tag without its start fails."""

    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    style: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._opened: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self._opened.pop() == tag
        self.tags.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)

    def handle_data(self, data: str) -> None:
        if self._opened and self._opened[-1] == "style":
            self.style += data
        elif data.strip():
            self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.attributes if each == name]

    @property
    def content(self) -> str:
        return "".join(self.texts)


def parsed(page: str) -> Page:
    result = Page()
    result.feed(page)
    result.close()
    assert not result._opened
    return result


def test_the_offers_that_a_test_depends_on_are_named() -> None:
    html = as_html(matrix_of([saved(row("closes/code-1000-up", "failed"), row("a/unknown"))], {}))

    assert re.findall("<dt>Offers</dt><dd>(.*?)</dd>", html) == ["forwards_closes"]


def report(text: str, outcome: str = "failed") -> SavedReport:
    """Return a report with this text in every place that takes any text."""
    evidence = {"exchange": [text, text], "expected": text, "seen": text}
    rows = [
        row("a/a", outcome, title=text, rule=text[:300], note=text, evidence=evidence),
        row("a/b", title=text, rule=text[:300], note=text, evidence=evidence),
    ]
    return saved(*rows, target=text[:100], **{text[:100]: text[:300]})


def page(text: str) -> str:
    """Return a page with this text in every place that takes any text, and with two runs compared."""
    others = [report(text), saved(target="only"), saved(target="only2")]
    runs = compare_runs([report(text, "passed"), others[1]], [report(text), others[2]])
    return as_html(matrix_of([report(text)], {}, absent=[text], command=text), runs)


def check(text: str) -> Page:
    """No text of a report changes the structure of the page, and each is shown as it is."""
    plain, shown = parsed(page("plain")), parsed(page(text))
    assert shown.tags == plain.tags
    assert {name for name, _ in shown.attributes} <= ATTRIBUTES
    assert len(shown.attributes) == len(plain.attributes)
    assert all(re.fullmatch(r"#[A-Za-z0-9_./-]+", link) for link in shown.values("href"))
    assert shown.values("class") == plain.values("class")
    assert shown.values("content") == plain.values("content")
    assert "\0" not in shown.content
    assert shown.content.replace("\n", "").isprintable()
    return shown


@pytest.mark.parametrize("text", [each for each in HOSTILE if "`" not in each])
def test_hostile_text_stays_text(text: str) -> None:
    shown = check(text)

    assert visible(text) in shown.content  # the title and the command
    assert all(visible(line) in shown.texts for line in text.split("\n"))  # what was seen


@pytest.mark.parametrize("text", [each for each in HOSTILE if "`" in each])
def test_hostile_text_with_code_in_it_stays_text(text: str) -> None:
    shown, plain = parsed(page(text)), parsed(page("plain"))

    assert set(shown.tags) == {*plain.tags, "code", "/code"}
    assert {name for name, _ in shown.attributes} <= ATTRIBUTES


@settings(deadline=None, max_examples=50)
@given(TEXTS.filter(lambda text: text and "`" not in text))
def test_any_text_stays_text(text: str) -> None:
    check(text)


def test_the_page_needs_nothing_and_runs_nothing() -> None:
    shown = parsed(page("plain"))

    digest = base64.b64encode(hashlib.sha256(shown.style.encode()).digest()).decode()
    (policy,) = [value for value in shown.values("content") if "default-src" in value]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(shown.tags)
    assert "url(" not in shown.style
    assert "@import" not in shown.style


def test_every_link_leads_to_a_place_of_its_own() -> None:
    reports = [saved(row("a/a"), row("b/b", "failed"), target="gw"), saved(row("a/a"), target="gw")]

    shown = parsed(as_html(matrix_of(reports, {})))

    ids = shown.values("id")
    assert len(set(ids)) == len(ids)
    assert {link.removeprefix("#") for link in shown.values("href")} <= set(ids)
    assert {"b/b.gw", "a.gw-2", "All.gw", "At.b"} <= set(ids)


def test_a_cell_opens_to_rule_note_and_evidence() -> None:
    long = "x" * 500
    failed = row("a/a", "failed", note="It is documented.", evidence={"exchange": [long], "seen": "1\n2"})
    passed = row("a/b", title="`Host` is kept", evidence={"exchange": [long]})

    shown = as_html(matrix_of([saved(failed, passed)], {"a": "Ends"}))

    (first, second) = re.findall(r"<details.*?</details>", shown, re.DOTALL)
    assert first.startswith('<details class="failed" open>')
    assert second.startswith('<details class="passed">')
    for part in ("RFC 6455 §5.5.1</bdi> (must)", "It is documented.", ">1\n2<", f">{long}<"):
        assert part in first
    for part in ("<code>Host</code> is kept", f">{long[:400]}…<"):
        assert part in second


def test_a_change_is_marked_in_its_cell_and_listed() -> None:
    runs = compare_runs([saved(row("a/a"), row("a/b", "failed"))], [saved(row("a/a", "error"), row("a/b"))])

    content = parsed(as_html(matrix_of([runs.comparisons[0].new], {}), runs)).content

    assert content.count("▼ 1 worse▲ 1 better") == 2  # its group, and all
    assert "▼ 1 worse" in content
    assert "▼ passed → not run" in content
    assert "▲ failed → passed" in content


async def test_a_browser_sees_the_same_page(tmp_path: Path) -> None:
    """The parser of a real browser, which repairs what is wrong, finds nothing to repair and nothing to run."""
    text = "".join(HOSTILE[:9]).replace("`", "")[:100]
    file = tmp_path / "matrix.html"
    file.write_text(page(text), encoding="utf-8")

    async with running(*browser(tmp_path / "profile"), "--dump-dom", file.as_uri()) as process:
        assert process.stdout is not None
        async with asyncio.timeout(50):
            output = await process.stdout.read()

    dom = output.decode()
    seen, written = parsed(dom[dom.index("<!DOCTYPE") :]), parsed(file.read_text(encoding="utf-8"))
    assert [tag for tag in seen.tags if tag != "/rect"] == written.tags
    assert seen.texts == written.texts


async def test_the_page_works_by_keyboard_and_by_links(tmp_path: Path) -> None:
    file = tmp_path / "matrix.html"
    reports = [saved(row("a/a"), row("a/b", "failed"))]
    file.write_text(as_html(matrix_of(reports, {})), encoding="utf-8")

    async with opened(file.as_uri(), tmp_path / "profile") as shown:

        async def displayed(name: str) -> bool:
            return bool(await shown.evaluate(f"document.getElementById({name!r}).checkVisibility()"))

        async def choose(name: str) -> None:
            """Select a link as the Enter key does, and wait until its place is shown."""
            await shown.evaluate(
                "new Promise((done) => { addEventListener('hashchange', () => requestAnimationFrame(() => done(1)),"
                f" {{ once: true }}); document.querySelector({name!r}).click(); }})"
            )

        assert not await displayed("a.gw")
        await choose('[id="At.a.gw"]')
        assert await displayed("a.gw")
        assert await shown.evaluate("document.activeElement.id") == "a.gw"
        assert not await displayed("a/a.gw")  # passed, and therefore closed
        assert await displayed("a/b.gw")  # failed, and therefore open
        await choose('[id="a.gw"] .close')
        assert not await displayed("a.gw")
        assert await shown.evaluate("document.activeElement.id") == "At.a.gw"
        await choose('[id="a"] [href="#a/a.gw"]')
        assert await displayed("a/a.gw")  # a link to a test opens it
        assert await shown.evaluate("document.styleSheets.length") == 1
