"""Reading CSV and NDJSON text: lines, quotes, values and what is wrong with a record."""

import io
from typing import Any

import pytest

from jobs.records import Record, UnreadableFile, UnreadableRecord, read_csv, read_csv_header, read_ndjson


def csv_lines(content: str) -> io.StringIO:
    """Return the lines as importItems reads them."""
    return io.StringIO(content.removeprefix("\ufeff"), newline="")


def ndjson_lines(content: str) -> io.StringIO:
    """Return the lines as importItems reads them."""
    return io.StringIO(content.removeprefix("\ufeff"), newline="\n")


def outcomes(records: list[Record]) -> list[tuple[int, Any]]:
    """Return line and values, or line and reason, of each record."""
    return [
        (record.line, str(record.outcome) if isinstance(record.outcome, UnreadableRecord) else record.outcome)
        for record in records
    ]


def csv_values(content: str, key: str = "name") -> list[tuple[int, Any]]:
    return outcomes(list(read_csv(csv_lines(content), key)))


def test_csv_columns_keep_their_names_and_lines() -> None:
    assert csv_values("iata,name\n00M,Thigpen\n00R,Livingston Municipal\n") == [
        (2, {"iata": "00M", "name": "Thigpen"}),
        (3, {"iata": "00R", "name": "Livingston Municipal"}),
    ]


def test_csv_understands_mark_crlf_blank_lines_quotes_and_unicode() -> None:
    content = '\ufeffname, city \r\n\r\n"Say ""hi"", 東京","a\r\nb"\r\nÉté,"x,y"'
    assert csv_values(content) == [
        (3, {"name": 'Say "hi", 東京', "city": "a\r\nb"}),
        (5, {"name": "Été", "city": "x,y"}),
    ]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("7", 7),
        ("-3", -3),
        ("0", 0),
        ("31.95376472", 31.95376472),
        ("-0.5", -0.5),
        ("19.90", 19.9),
        ("999999999999999", 999999999999999),
        ("1234567890123456", "1234567890123456"),
        ("0.1234567890123456", "0.1234567890123456"),
        ("007", "007"),
        ("-0", "-0"),
        ("+1", "+1"),
        ("1e5", "1e5"),
        ("0E8", "0E8"),
        (".5", ".5"),
        ("5.", "5."),
        ("1,5", "1,5"),
        (" 7", " 7"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("٣", "٣"),
        ("true", "true"),
    ],
)
def test_csv_cell_becomes_a_number_only_where_nothing_is_lost(cell: str, value: object) -> None:
    [(_, values)] = csv_values(f'name,x\nn,"{cell}"\n')
    assert values["x"] == value
    assert type(values["x"]) is type(value)


def test_csv_name_and_description_are_text_whatever_they_look_like() -> None:
    assert csv_values("name,description\n747,1.5\n") == [(2, {"name": "747", "description": "1.5"})]


def test_csv_key_column_takes_whole_numbers_only() -> None:
    assert [values["v"] for _, values in csv_values("name,v\na,1.1\nb,1.10\nc,11\n", "v")] == ["1.1", "1.10", 11]


def test_csv_empty_cell_is_left_out() -> None:
    assert csv_values('name,a,b\nx,,""\n') == [(2, {"name": "x"})]


def test_csv_row_of_another_width_is_named_and_passed_over() -> None:
    assert csv_values("name,a\nx\ny,1\nz,1,2\n") == [
        (2, "expected 2 columns as in the header, got 1"),
        (3, {"name": "y", "a": 1}),
        (4, "expected 2 columns as in the header, got 3"),
    ]


def test_csv_unclosed_quote_costs_one_row_and_not_the_file() -> None:
    records = csv_values('name,a\nx,1\ny,"open\nz,2\n"q",3\n"stray"x,4\nw,5\n')
    assert [line for line, _ in records] == [2, 3, 4, 5, 6, 7]
    assert [line for line, outcome in records if isinstance(outcome, str)] == [3, 6]
    assert records[-1] == (7, {"name": "w", "a": 5})


def test_csv_quote_open_to_the_end_of_the_file_costs_one_row() -> None:
    records = csv_values('name\n"open\n' + "row\n" * 1000)
    assert [line for line, outcome in records if isinstance(outcome, str)] == [2]
    assert len(records) == 1001


def test_csv_endless_cell_costs_one_row() -> None:
    records = csv_values("name\n" + "x" * 200_000 + "\nlast\n")
    assert [line for line, outcome in records if isinstance(outcome, str)] == [2]
    assert records[-1] == (3, {"name": "last"})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "column 'name'"),
        ("\n\n", "column 'name'"),
        ("iata,city\n1,2\n", "column 'name'"),
        ("Name\nx\n", "column 'name'"),
        ("iata;name\n1;2\n", "separated by commas"),
        ("name,a, a \nx,1,2\n", "'a' more than once"),
        ('name,"a\n', "unexpected end of data"),
    ],
)
def test_csv_header_that_makes_no_sense_is_an_error_of_the_file(content: str, expected: str) -> None:
    with pytest.raises(UnreadableFile, match=expected):
        read_csv_header(csv_lines(content))


def test_ndjson_lines_end_at_line_feeds_only() -> None:
    content = '\ufeff{"name": "a\u2028b", "n": 1}\r\n\n  \n{"name": "c", "n": 1.5, "deep": {"x": [null]}}'
    assert outcomes(list(read_ndjson(ndjson_lines(content)))) == [
        (1, {"name": "a\u2028b", "n": 1}),
        (4, {"name": "c", "n": 1.5, "deep": {"x": [None]}}),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"name": "a"', "expected JSON"),
        ("nonsense", "expected JSON"),
        ('["a"]', "expected a JSON object"),
        ("null", "expected a JSON object"),
        ('{"name": "a", "x": NaN}', "finite"),
        ('{"name": "a", "x": -Infinity}', "finite"),
        ('{"name": "a", "name": "b"}', "once"),
        ('{"name": "a", "x": {"y": 1, "y": 2}}', "once"),
        ('{"a":' * 100_000, "too deep"),
    ],
)
def test_ndjson_bad_line_is_named_and_passed_over(line: str, reason: str) -> None:
    first, bad, last = outcomes(list(read_ndjson(ndjson_lines(f'{{"name": "first"}}\n{line}\n{{"name": "last"}}\n'))))
    assert (first[1], last[1]) == ({"name": "first"}, {"name": "last"})
    assert bad[0] == 2
    assert reason in bad[1]
