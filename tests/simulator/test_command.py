import pytest

from include.simulator.__main__ import main


def arguments(tmp_path, *more):
    return ["--subscribers", "50", "--months", "2", "--seed", "1", "--out", str(tmp_path / "out"), *more]


def test_the_command_writes_landing_and_truth_and_tells_every_month(tmp_path, capsys):
    assert main(arguments(tmp_path, "--last-month", "2026-09")) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line[:8] for line in lines] == ["2026-08:", "2026-09:"]
    assert (tmp_path / "out" / "landing" / "usage_months" / "month=2026-09").is_dir()
    assert (tmp_path / "out" / "truth" / "effects.json").is_file()


@pytest.mark.parametrize(
    "more",
    [
        ["--months", "0"],
        ["--months", "eight"],
        ["--dirt", "2"],
        ["--missing", "gossip"],
        ["--last-month", "2026-9"],
        ["--from-month", "2020-01"],
        ["--days-from", "2020-01"],
        ["--treated", "nowhere.csv"],
        ["--subscribers", "5"],
        ["--colour", "red"],
    ],
)
def test_a_bad_argument_is_one_clear_line_and_exit_code_two(tmp_path, capsys, more):
    with pytest.raises(SystemExit) as refused:
        main(arguments(tmp_path, *more))
    assert refused.value.code == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert more[1] in told[0] or more[0] in told[0]
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path, capsys):
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    with pytest.raises(SystemExit):
        main(arguments(tmp_path))
    assert "cannot be written" in capsys.readouterr().err
