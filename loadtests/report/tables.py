"""Tables of a report: they scroll inside themselves, so that the page need not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from loadtests.report.markup import Html, element, join


def table(
    about: str, titles: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1, ours: str = ""
) -> Html:
    """Return a table.

    Args:
        about: what it is, for those who cannot see it.
        titles: of the columns.
        rows: the cells, text or HTML.
        words: so many columns at the left hold words, the others numbers.
        ours: a row with such a cell stands out.
    """
    return element(
        "div",
        element(
            "table",
            element(
                "thead", _row([_cell("th", titles, index, words, "col") for index in range(len(titles))])
            ),
            element(
                "tbody",
                *(
                    _row(
                        [
                            _cell("th", row, 0, words, "row"),
                            *(_cell("td", row, index, words) for index in range(1, len(row))),
                        ],
                        "ours" if ours and ours in row else None,
                    )
                    for row in rows
                ),
            ),
        ),
        class_="scroll",
        role="region",
        aria_label=about,
        tabindex=0,
    )


def _row(cells: Sequence[Html], kind: str | None = None) -> Html:
    return element("tr", *cells, class_=kind)


def _cell(name: str, row: Sequence[str], index: int, words: int, scope: str | None = None) -> Html:
    return element(name, row[index], class_="number" if index >= words else None, scope=scope)


def shares(
    about: str, title: str, counts: Mapping[str, int], meanings: Mapping[str, str] | None = None
) -> Html:
    """Return how connections are split, each part with a bar.

    Args:
        about: what it is, for those who cannot see it.
        title: what the parts are.
        counts: how many each has.
        meanings: what the names of the parts mean, where that needs saying.
    """
    whole = sum(counts.values()) or 1
    rows = [
        (
            join([name, element("span", (meanings or {}).get(name, ""), class_="range")]),
            element("div", class_="bar", style=f"width:{count / whole:.1%}"),
            f"{count:,}",
            f"{count / whole:.1%}",
        )
        for name, count in counts.items()
    ]
    return table(about, (title, "", "count", "share"), rows, words=2)
