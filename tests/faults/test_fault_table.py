"""The table itself: a row a case, in the order of the cases, and a comparison that sees a difference."""

import fault_table


def test_the_table_has_a_row_for_every_case_and_no_other():
    assert list(fault_table.stored()) == fault_table.cases() and len(fault_table.cases()) > 14


def test_what_is_written_is_what_is_read():
    rows = list(fault_table.stored().values())
    assert fault_table.DOC.read_text(encoding="utf-8") == fault_table.written(rows)
    assert all(row.done and row.seen and row.lost.startswith("nothing") for row in rows)


def test_only_what_differs_from_run_to_run_is_left_out():
    told = "/tmp/x/run: process 4711 has it;  test 12.5 %  0.12 min, 127.0.0.1:80, 0123456789abcdef; 3 rows, 1 failed"
    left = "run: process N has it; test A % T min, HOST, KEY; 3 rows, 1 failed"
    assert fault_table.normalised(told, ["/tmp/x"]) == left
    assert fault_table.screen(["a | b", "c"]) == "`a \\| b`<br>`c`"
