import codecs
from pathlib import Path

import pytest

from data_connectors.delimited import Line
from data_connectors.detection import (
    check_delimiter,
    detect_delimiter,
    detect_encoding,
    file_kind,
)
from shared.errors import SettingsError, UnreadableFile

pytestmark = pytest.mark.unit

GERMAN = "Wo bleibt meine Überweisung? Ich hätte gern das Geld für die Größe XL zurück."
FRENCH = "Où est ma commande ? Je n'ai pas reçu l'élément. Ça ne marche pas à cause de la clé."
SPANISH = "¿Dónde está mi pedido? Todavía no llegó, mañana será tarde."
RUSSIAN = "Где мой заказ? Я хочу вернуть деньги. Когда придёт посылка?"
POLISH = "Gdzie jest moja przesyłka? Chciałbym zwrócić buty, nie mogę się zalogować."
CHINESE = "我的订单在哪里？我要退款。什么时候发货？"
JAPANESE = "注文はどこですか？返金してください。"


def test_legacy_and_modern_encodings_give_the_text_back(tmp_path: Path) -> None:
    for text, encoding in [
        (GERMAN, "latin-1"),
        (GERMAN, "cp1252"),
        (FRENCH, "cp1252"),
        (SPANISH, "latin-1"),
        ("I can’t find it – it cost £20, “late”", "cp1252"),
        ("one café please", "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (POLISH, "cp1250"),
        (CHINESE, "gb18030"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32"),
        ("plain", "ascii"),
    ]:
        for times in (1, 30):
            path = tmp_path / "data.csv"
            content = "text,label\n" + f"plain words,a\n{text},b\n" * times
            path.write_bytes(content.encode(encoding))
            found = detect_encoding(path)
            assert path.read_bytes().decode(found) == content, (encoding, found)


def test_utf8_with_a_few_broken_bytes_stays_utf8(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(f"text,label\n{FRENCH},a\n".encode() + b"caf\xe9,b\n")
    assert detect_encoding(path) == "utf-8"


def test_a_character_across_two_chunks_is_not_broken(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"x" * ((1 << 20) - 1) + "é".encode())
    assert detect_encoding(path) == "utf-8"


def test_the_first_foreign_character_may_stand_far_down(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"plain words,a\n" * 200_000 + GERMAN.encode("cp1252"))
    assert detect_encoding(path) == "cp1252"


@pytest.mark.parametrize(
    "content",
    [bytes(range(256)) * 40, b"\x01\x02\x03\x04\x05\x06 few", b"text\0\0\0\0label\0\0"],
)
def test_binary_bytes_are_no_text(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="binary"):
        detect_encoding(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04rest", "Excel"),
        (b"\x1f\x8brest", "gzip"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n", "picture"),
        (b"SQLite format 3\x00", "sqlite:///"),
    ],
)
def test_known_binary_files_are_named(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=what):
        file_kind(path)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", b"text,label", "delimited"),
        ("a.txt", b"text,label", "delimited"),
        ("a.csv", b"PAR1....", "parquet"),
        ("a.jsonl", b"", "json lines"),
        ("a.txt", codecs.BOM_UTF8 + b' {"text": 1}', "json lines"),
        ("a.csv", b"{text},label", "delimited"),
    ],
)
def test_content_goes_before_the_name(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert file_kind(path) == kind


def test_what_is_not_what_it_says_is_refused(tmp_path: Path) -> None:
    for name, content, message in [
        ("a.parquet", b"text,label\n", "no Parquet file"),
        ("a.json", b'[{"text": "hi"}]', "one JSON object a line"),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UnreadableFile, match=message):
            file_kind(path)
    with pytest.raises(UnreadableFile, match="no such file"):
        file_kind(tmp_path / "missing.csv")
    with pytest.raises(UnreadableFile, match="folder"):
        file_kind(tmp_path)


def lines(text: str) -> list[Line]:
    return [Line(i, line) for i, line in enumerate(text.splitlines(keepends=True), start=1)]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("text,label\nhi; there,a\n", ","),
        ("text;label\nhi, there, you;a\nno, not that;b\n", ";"),
        ("text\tlabel\nhi, there\ta\n", "\t"),
        ("id|text|label\n1|hi, there|a\n", "|"),
        ('text;label\n"one;\n, two";a\n', ";"),
        ("text\nhi\n", ","),
        ("verbatim;team, region\na;b\n", ";"),
    ],
)
def test_the_delimiter_is_what_makes_the_best_table(text: str, delimiter: str) -> None:
    assert detect_delimiter(lines(text), hint=",", wanted=(None, None)) == delimiter


def test_a_wanted_column_decides(tmp_path: Path) -> None:
    text = "my,text;label\na,b;c\n"
    assert detect_delimiter(lines(text), hint=",", wanted=("my,text", "label")) == ";"
    assert detect_delimiter(lines(text), hint=",", wanted=("my", None)) == ","


def test_a_delimiter_is_one_character() -> None:
    assert check_delimiter("tab") == check_delimiter("\\t") == check_delimiter("\t") == "\t"
    for wrong in ["", "::", '"', "\n"]:
        with pytest.raises(SettingsError):
            check_delimiter(wrong)
