"""CSV files as people's spreadsheets write them: read rightly, or told in one sentence that names the cure."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.commands.csv_files import read_csv
from include.domain.errors import BadInput

CELLS = st.text(
    st.characters(codec="gbk", exclude_characters="\r\n\0", exclude_categories=("C", "Z")), min_size=1
)
WAYS = [
    (encoding, separator, end)
    for encoding in ("utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16")
    for separator in ",;\t|"
    for end in ("\r\n", "\n")
]


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4), st.sampled_from(WAYS))
def test_encoding_and_separator_of_a_spreadsheet_change_nothing(tmp_path_factory, rows, way):
    encoding, separator, end = way
    # a sentence first: four arbitrary bytes of GBK may happen to be UTF-8
    cells = [("code", "name"), ("工号", "这一行是说明文字"), *rows]
    lines = (separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells)
    file = tmp_path_factory.mktemp("csv") / "x.csv"
    file.write_bytes(end.join(lines).encode(encoding))
    found = read_csv(file)
    assert [tuple(row.values()) for _, row in found.rows] == cells[1:]
    assert found.columns == ("code", "name")


def written(folder: Path, content: bytes | str) -> Path:
    file = folder / "x.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("a,b\n王,1\n", ""),
        ("\ufeffa,b\r\n王,1\r\n", ""),
        ("a,b\n王,1\n".encode("gbk"), "The file was read as GB18030."),
        ("a\tb\r\n王\t1\r\n".encode("utf-16"), "The file was read as UTF-16."),
    ],
)
def test_an_encoding_that_was_found_out_is_told(tmp_path, content, note):
    found = read_csv(written(tmp_path, content))
    assert (found.rows, found.note) == (((2, {"a": "王", "b": "1"}),), note)


def test_headers_are_known_in_any_writing_and_blank_lines_and_columns_are_none(tmp_path):
    found = read_csv(written(tmp_path, " Ａ,B\u200b,,\n\n1,2,,\n,,,\n3\n"))
    assert found.columns == ("a", "b")
    assert found.rows == ((3, {"a": "1", "b": "2"}), (5, {"a": "3", "b": ""}))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a,b\n\xff\xff,1\n", r"^x\.csv is neither text in UTF-8 nor in GBK\. Save it as CSV UTF-8\.$"),
        (b"PK\x03\x04\0\0", r"neither text in UTF-8 nor in GBK"),
        ("a,b\n1,2,3\n", r"x\.csv, line 2 has more cells than the header has columns"),
        ("a,A\n1,2\n", r"the column 'a' twice"),
        ('a,b\n1,"2\n', r"x\.csv, line 2: unexpected end of data\. Mend its quotes"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line_and_cure(tmp_path, content, told):
    with pytest.raises(BadInput, match=told):
        read_csv(written(tmp_path, content))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BadInput, match=r"no\.csv cannot be read: No such file"):
        read_csv(tmp_path / "no.csv")
