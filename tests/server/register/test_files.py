"""Lists as they come from offices: encodings, separators, days, lost zeros, bad files."""

import datetime as dt
import io
import unicodedata
import zipfile

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluezone.server.errors import Refused
from bluezone.server.places.naming import commune_named
from bluezone.server.register import files
from bluezone.server.register.cells import CellError, Cells
from bluezone.server.register.files import EXCEL_EPOCH, FileError, read_table, write_csv

TEXT = "Họ và tên;SĐT\nNguyễn Thị Đào;0901234567\n\nLê Ổi;=1+1\n"
ROWS = [
    (1, ["Họ và tên", "SĐT"]),
    (2, ["Nguyễn Thị Đào", "0901234567"]),
    (4, ["Lê Ổi", "=1+1"]),
]
TODAY = dt.date(2021, 1, 20)


def windows_1258(text: str) -> bytes:
    """As a Vietnamese Windows wrote it: letters with their shape, tones behind them."""
    out = b""
    for letter in text:
        try:
            out += letter.encode("cp1258")
        except UnicodeEncodeError:
            whole = unicodedata.normalize("NFD", letter)
            tone = next(one for one in whole if one in "\u0300\u0301\u0303\u0309\u0323")
            shape = unicodedata.normalize("NFC", whole.replace(tone, ""))
            out += (shape + tone).encode("cp1258")
    return out


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_usual_encoding_and_separator(encoding: str, separator: str) -> None:
    assert list(read_table(TEXT.replace(";", separator).encode(encoding)).rows) == ROWS


def test_windows_1258_and_a_file_put_together_from_two() -> None:
    assert list(read_table(windows_1258(TEXT)).rows) == ROWS
    first, rest = TEXT.split("\n", 1)
    assert list(read_table(windows_1258(f"{first}\n") + rest.encode()).rows) == ROWS


def test_excel_names_the_separator_and_counts_the_row() -> None:
    assert list(read_table(b"sep=;\na;b\n1;2\n").rows) == [(2, ["a", "b"]), (3, ["1", "2"])]


@given(st.binary(max_size=400))
def test_no_bytes_do_anything_but_read_or_refuse(content: bytes) -> None:
    try:
        for number, cells in read_table(content).rows:
            assert number >= 1
            assert all(isinstance(cell, str) for cell in cells)
    except FileError:
        pass


def workbook(*rows: list[object]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_workbook_reads_as_text_and_calculates_nothing() -> None:
    table = read_table(
        workbook(
            ["Tên", "Ngày", "Số", "Công thức"],
            ["An", dt.date(2021, 1, 17), 901234567, '=HYPERLINK("http://x","y")'],
        )
    )
    assert list(table.rows)[1] == (
        2,
        ["An", "2021-01-17", "901234567", '=HYPERLINK("http://x","y")'],
    )


def test_bad_workbooks_are_refused_in_words() -> None:
    whole = workbook(["a", "b"], ["1", "2"])
    for content, words in (
        (whole[: len(whole) // 2], "damaged"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "old Excel"),
        (b"", "empty"),
        (b"PK\x03\x04nothing", "damaged"),
    ):
        with pytest.raises(FileError, match="file-unreadable") as refused:
            list(read_table(content).rows)
        assert words in refused.value.message
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", bytes(files._MAX_STRINGS + 1))
    with pytest.raises(FileError) as refused:
        read_table(bomb.getvalue())
    assert "unpacks to too much" in refused.value.message


def changed(content: bytes, **parts: bytes) -> bytes:
    """A workbook with other content in some of its parts (`sheet`, `styles`, `types`)."""
    paths = {
        "sheet": "xl/worksheets/sheet1.xml",
        "styles": "xl/styles.xml",
        "types": "[Content_Types].xml",
    }
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        others = {paths[name]: part for name, part in parts.items()}
        for one in old.namelist():
            new.writestr(one, others.get(one, old.read(one)))
    return out.getvalue()


@pytest.mark.timeout(30)
def test_a_small_workbook_takes_no_hours_and_no_gigabytes() -> None:
    """A row that says it is the ten-thousand-millionth; rows that are empty but wide; a style
    sheet of half a gigabyte, in its own name and in a sheet's; millions of elements between the
    rows, after them, and in one. Each is a file of some kilobytes."""
    whole = workbook(["a", "b"], ["1", "2"])
    sheet = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    last = b'<sheetData><row r="9999999999"><c r="A1" t="n"><v>1</v></c></row></sheetData>'
    wide = b"<sheetData>" + b'<row><c r="ZZZ1"/></row>' * 200_000 + b"</sheetData>"
    junk = b"<x/>" * 3_000_000
    row = b'<row r="1"><c r="A1" t="n"><v>1</v></c></row>'
    huge = b"<x>" + b" " * (files._MAX_PART + 1) + b"</x>"
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        types = archive.read("[Content_Types].xml")
    hidden = types.replace(b"/xl/workbook.xml", b"/xl/worksheets/sheet1.xml")
    crowd = io.BytesIO()
    with zipfile.ZipFile(crowd, "w") as archive:
        for number in range(files._MAX_PARTS + 1):
            archive.writestr(f"xl/worksheets/{number}.rels", b"")
    for content in (
        crowd.getvalue(),
        changed(whole, sheet=sheet + last + b"</worksheet>"),
        changed(whole, sheet=sheet + wide + b"</worksheet>"),
        changed(whole, sheet=sheet + b"<sheetData>" + (row + junk[:400_000]) * 20),
        changed(whole, sheet=sheet + b"<sheetData>" + row + b"</sheetData>" + junk),
        changed(whole, sheet=sheet + b"<sheetData><row>" + junk),
        changed(whole, styles=huge),
        changed(whole, types=hidden, sheet=huge),
    ):
        with pytest.raises(FileError):
            for _row in read_table(content).rows:
                pass


def test_a_sheet_with_a_document_type_is_refused() -> None:
    """Its entities would grow while they are read."""
    whole = workbook(["a", "b"], ["1", "2"])
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    read_table(changed(whole, sheet=sheet))
    typed = b'<!DOCTYPE x [<!ENTITY e "eeee">]>' + sheet.partition(b"?>")[2]
    with pytest.raises(FileError):
        read_table(changed(whole, sheet=typed))


def test_a_million_rows_are_refused_after_the_limit_and_one_row_is_a_file() -> None:
    assert list(read_table(b"name\nAn\n").rows) == [(1, ["name"]), (2, ["An"])]
    rows = read_table(b"name\n" + b"An\n" * 1_000_000).rows
    with pytest.raises(FileError) as refused:
        for _row in rows:
            pass
    assert refused.value.values["limit"] == files.MAX_ROWS
    assert "split it" in refused.value.message


def test_what_we_write_no_spreadsheet_calculates() -> None:
    written = write_csv([["=1+1", "+84901234567", "@SUM(A1)", "-2", "An", "\tx"]])
    assert written.decode("utf-8-sig") == "'=1+1,+84901234567,'@SUM(A1),-2,An,'\tx\r\n"


def cells(**texts: str) -> Cells:
    return Cells(2, texts, TODAY, EXCEL_EPOCH)


@pytest.mark.parametrize(
    "text",
    [
        "17/1/2021",
        "17-01-2021",
        "17.1.2021",
        "2021-01-17",
        "2021-01-17 00:00:00",
        "44213",
        "44213.5",
    ],
)
def test_a_day_in_every_usual_form(text: str) -> None:
    assert cells(onset=text).day("onset") == dt.date(2021, 1, 17)


@pytest.mark.parametrize("text", ["1/17/2021", "32/1/2021", "hôm qua", "99999", "17/1/21", "0/0/0"])
def test_what_is_no_day_says_how_to_write_one(text: str) -> None:
    with pytest.raises(CellError) as refused:
        cells(onset=text).day("onset")
    assert (refused.value.column, "day/month/year" in refused.value.message) == ("onset", True)


@pytest.mark.parametrize(
    "text",
    ["0901234567", "901234567", "84901234567", "+84 901 234 567", "'0901234567", "090.123.4567"],
)
def test_a_telephone_that_lost_its_zero(text: str) -> None:
    assert cells(phone=text).phone("phone") == "+84901234567"


def test_what_a_spreadsheet_destroyed_is_said() -> None:
    with pytest.raises(CellError) as refused:
        cells(phone="9.01E+08").phone("phone")
    assert "rounded" in refused.value.message
    with pytest.raises(CellError) as refused:
        cells(name="Nguy\ufffdn").text("name")
    assert "UTF-8" in refused.value.message
    assert cells(identity="1090123456").identity("identity") == "001090123456"
    assert cells(birth="1990").birth("birth") == "1990"
    assert cells(birth="33010").birth("birth") == "1990-05-17"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Ba Đình, Hà Nội", "00004"),
        ("phuong ba dinh, tp ha noi", "00004"),
        ("4", "00004"),
        ("00004 Phường Ba Đình", "00004"),
        ("Phường Phúc Xá, Quận Ba Đình, Thành phố Hà Nội", "00097"),  # until June 2025
        ("00001", "00097"),
        ("Phường 1, Quận 3, TP Hồ Chí Minh", "27154"),
    ],
)
def test_a_commune_by_name_and_code_of_both_eras(text: str, code: str) -> None:
    assert commune_named(text).code == code


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("Tân Lập", "commune-ambiguous", "Quảng Trị"),
        ("Thành Công, Ba Đình, Hà Nội", "unit-divided", "Ô Chợ Dừa"),
        ("Atlantis, Hà Nội", "commune-unknown", "Atlantis"),
        ("01", "commune-unknown", "01"),
        ("", "commune-unknown", "-"),
    ],
)
def test_a_commune_that_is_none_or_several(text: str, error: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        commune_named(text)
    assert refused.value.error == error
    assert words in refused.value.message.format(**refused.value.values)
