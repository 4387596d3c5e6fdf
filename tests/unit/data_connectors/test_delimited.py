import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_connectors import delimited
from data_connectors.delimited import Record, physical_lines, read_records

pytestmark = pytest.mark.unit


def records(text: str, delimiter: str = ",") -> list[Record]:
    return list(read_records(physical_lines(io.StringIO(text, newline="")), delimiter))


def test_quoted_line_breaks_stay_inside_a_field() -> None:
    read = records('a,b\n"one\r\ntwo\n",x\n\nthree,y\n')
    assert [(record.line, record.fields) for record in read] == [
        (1, ["a", "b"]),
        (2, ["one\r\ntwo\n", "x"]),
        (6, ["three", "y"]),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_counts(end: str) -> None:
    assert [record.line for record in records(end.join(["a,b", "c,d", "e,f"]))] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('a,b\n"never closed,x\nc,d\ne,f\n', 2, "never closed"),
        ('a,b\n"never closed,x\nc,d\n"closed",f\n', 2, "closing quote"),
        ('a,b\n"closed" early,x\nc,d\ne,f\n', 2, "closing quote"),
        ('a,b\nc,d\n"', 3, "never closed"),
    ],
)
def test_a_broken_record_costs_one_line(text: str, line: int, reason: str) -> None:
    broken = [record for record in records(text) if record.fault]
    assert [(record.line, record.fields) for record in broken] == [(line, [])]
    assert reason in str(broken[0].fault)
    assert broken[0].raw == text.splitlines(keepends=True)[line - 1]
    sound = {record.line for record in records(text) if not record.fault}
    assert sound == set(range(1, len(text.splitlines()) + 1)) - {line}


def test_an_unclosed_quote_is_given_up_after_many_lines() -> None:
    text = 'a,b\n"open,x\n' + "c,d\n" * (delimited.MOST_LINES + 5)
    read = records(text)
    assert [record.line for record in read if record.fault] == [2]
    assert sum(record.fields == ["c", "d"] for record in read) == delimited.MOST_LINES + 5


def test_a_huge_line_is_skipped_and_later_ones_are_read() -> None:
    text = "a,b\n" + "x" * (2 * delimited.LONGEST_LINE + 10) + ",long\nc,d\n"
    read = records(text)
    assert [(record.line, bool(record.fault)) for record in read] == [
        (1, False),
        (2, True),
        (3, False),
    ]
    assert len(read[1].raw) <= delimited.LONGEST_LINE


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=3),
        min_size=1,
    ),
    st.sampled_from(",;\t|"),
)
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]], delimiter: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(rows)
    assert [record.fields for record in records(out.getvalue(), delimiter)] == rows


@given(st.text(st.sampled_from('ab,"\n\r '), max_size=60))
def test_no_text_breaks_reading_and_lines_only_grow(text: str) -> None:
    lines = [record.line for record in records(text)]
    assert lines == sorted(set(lines))
