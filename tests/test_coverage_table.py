"""The table of docs/coverage.md: sums by room."""

import coverage_table


def summary(*counts):
    return dict(zip(coverage_table.COUNTS, counts, strict=True))


def test_the_table_adds_up_the_files_of_a_room():
    files = {
        "src/logtrick/errors.py": summary(10, 10, 0, 0),
        "src/logtrick/psi/returns.py": summary(20, 10, 4, 3),
        "src/logtrick/psi/deep/inside.py": summary(980, 989, 0, 0),
    }
    head, _, *rows = coverage_table.table(files).splitlines()
    assert head == "| room | lines | run | branches | run |"
    assert rows == [
        "| `errors` | 10 | 100.0 % | 0 | – |",
        "| `psi/` | 1,000 | 99.9 % | 4 | 75.0 % |",
        "| **all** | 1,010 | 99.9 % | 4 | 75.0 % |",
    ]


def test_all_but_one_line_is_not_all():
    assert coverage_table.share(9_999, 10_000) == "99.9 %"


def test_the_page_says_what_is_counted():
    assert coverage_table.PAGE.read_text().startswith(coverage_table.INTRODUCTION)
