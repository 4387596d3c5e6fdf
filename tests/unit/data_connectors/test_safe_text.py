from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_connectors.safe_text import LONGEST_MARKUP, plain_text, safe_text, tidy_text

pytestmark = pytest.mark.unit

PIECES = st.sampled_from(
    ["<", ">", "</", "<!--", "-->", "<![CDATA[", "]]>", "&lt;", "&amp;", "&#60;", "script", "b",
     " ", '"', "'", "<b ", "<script>", "</script>", "ü", "\u202e", "\x00", "x < y", "<?", "/>",
     "\n"]
)  # fmt: skip


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("Profit <b>rises</b> by 5&nbsp;%", "Profit rises by 5 %"),
        ("<p>One.</p><p>Two.</p>three<br/>four", "One. Two. three four"),
        ("un<i>believ</i>able", "unbelievable"),
        ("<script>alert(1)</script>Up <style>p{color:red}</style>3 %", "Up 3 %"),
        ("<SCRIPT src=x>alert('</b>')</SCRIPT >safe", "safe"),
        ("before<script>never closed", "before"),
        ('<img alt="5 > 3" src="x">Chart', "Chart"),
        ("<a href='http://x.example/?a=\"b\">c'>Read</a>", "Read"),
        ("Sales &lt;b&gt;double&lt;/b&gt;", "Sales double"),
        ("AT&amp;amp;T and S&amp;P", "AT&amp;T and S&P"),
        ("A &amp; B", "A & B"),
        ("x < y and y > z", "x < y and y > z"),
        ("a<!-- hidden <b> -->b", "ab"),
        ("<![CDATA[kept]]> too", "kept too"),
        ("<b", ""),
        ("e\u0301lan \u202egnp.exe\u202c \u200bzero\x00", "élan gnp.exe zero"),
        ("  many\n\n blanks\t ", "many blanks"),
        ("", ""),
    ],
)
def test_markup_becomes_the_text_that_a_reader_would_see(markup: str, text: str) -> None:
    assert plain_text(markup) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("AT&T &amp; co", "AT&T &amp; co"),
        ("if x < y", "if x < y"),
        ("<b>bold</b> claim", "bold claim"),
        ("<script>alert(1)", ""),
    ],
)
def test_what_claims_to_be_text_is_reduced_only_where_it_holds_tags(text: str, kept: str) -> None:
    assert safe_text(text) == kept


@given(st.lists(PIECES, max_size=40).map("".join))
def test_no_tag_and_no_invisible_character_survives(markup: str) -> None:
    for text in (plain_text(markup), safe_text(markup)):
        assert not re.search(r"<[A-Za-z/!?]", text)
        assert not re.search("[\x00-\x08\u202a-\u202e\n]", text)
        assert text == text.strip()


def test_half_characters_become_text_that_can_be_stored() -> None:
    assert tidy_text("a\ud800b").encode() == b"a?b"


@pytest.mark.parametrize(
    "junk", ["<", "<a ", "<!--", "<![CDATA[", "&", "</", "<a b='", "<script>", "<a b='c' ", "&lt;"]
)
def test_work_grows_with_the_length_only(junk: str) -> None:
    started = time.process_time()
    plain_text(junk * (LONGEST_MARKUP // len(junk)))
    assert time.process_time() - started < 2.0
