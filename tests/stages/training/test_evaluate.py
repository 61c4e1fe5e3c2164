"""The evaluate command: any flat table, judged by the loop's own model code, or a sentence of what to do."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from include.models import bootstrap, quality, trees
from include.stages.training.__main__ import main
from include.stages.training.table import read_table
from tests.stages.province import quick_recipes


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(30))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """600 customers: those who pay by hand and whose bill fell leave more often; charges has blanks."""
    random = np.random.default_rng(3)
    path = tmp_path / "churn.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["customerID", "payment", "charges", "joined", "country", "Churn"])
        for number in range(600):
            by_hand, fall = random.random() < 0.4, random.normal()
            left = random.random() < 1 / (1 + np.exp(2 - 1.5 * by_hand - 1.2 * fall))
            charges = " " if number % 60 == 0 else f"{-fall:.3f}"
            row = [
                f"C{number}",
                "by hand" if by_hand else "自动",
                charges,
                f"2020-01-{1 + number % 28:02d}",
                "x",
            ]
            writer.writerow([*row, "Yes" if left else "No"])
    return path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main(["evaluate", "--threads", "1", *words]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["evaluate", *words]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    return told.err


def test_figures_come_with_intervals_around_them(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, "--csv", str(table), "--label", "Churn", "--drop", "customerID")
    assert told["rows"] == 600
    assert 0.65 < told["auc"]["value"] < 0.9
    for metric in ("auc", "pr_auc", "top_decile_lift", "brier"):
        assert told[metric]["low"] < told[metric]["value"] < told[metric]["high"], metric
    assert told["brier"]["value"] < told["base_rate"] * (1 - told["base_rate"])
    losses = told["log_loss_of_candidates"]
    assert told["kind"] in ("boosted_and_forest", min(losses, key=losses.get))
    assert run(capsys, "--csv", str(table), "--label", "Churn", "--drop", "customerID") == told


def test_texts_become_values_numbers_with_blanks_stay_numbers_and_ids_are_left_out(table: Path) -> None:
    read = read_table(table, "Churn", None, [])
    assert read.factors == ("payment = 自动", "payment = by hand", "charges", "joined")
    assert set(read.left_out) == {"customerID", "country"}
    assert np.isnan(read.values[:, 2]).sum() == 10
    assert read.values[:28, 3].tolist() == [18262.0 + day for day in range(28)]


def test_a_label_of_noise_is_not_told_apart(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(5)
    lines = table.read_text().splitlines()
    noise = [f"{line.rpartition(',')[0]},{int(random.random() < 0.3)}" for line in lines[1:]]
    path = tmp_path / "noise.csv"
    path.write_text("\n".join([lines[0], *noise]) + "\n")
    told = run(capsys, "--csv", str(path), "--label", "Churn", "--drop", "customerID")
    assert told["auc"]["low"] < 0.5
    assert 0.42 < told["auc"]["value"] < 0.58


def test_equal_rows_stand_in_one_fold_so_that_no_double_gives_the_answer_away(
    table: Path, tmp_path: Path
) -> None:
    lines = table.read_text().splitlines()
    path = tmp_path / "doubled.csv"
    path.write_text("\n".join([lines[0], *lines[1:], *lines[1:]]) + "\n")
    fold = read_table(path, "Churn", None, []).fold
    assert (fold[:600] == fold[600:]).all()


def test_a_double_under_another_id_stands_in_the_same_fold(table: Path, tmp_path: Path) -> None:
    head, *lines = table.read_text().splitlines()
    again = [f"{number},D{line}" for number, line in enumerate(lines, start=600)]
    path = tmp_path / "doubled.csv"
    path.write_text("\n".join([f"row,{head}", *(f"{row},{line}" for row, line in enumerate(lines)), *again]))
    read = read_table(path, "Churn", None, [])
    assert {"row", "customerID"} <= set(read.left_out)
    assert (read.fold[:600] == read.fold[600:]).all()
    assert len(set(read.fold)) == 5


def test_rows_without_a_label_are_counted_not_judged(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with table.open("a") as file:
        file.write("C600,by hand,1.0,2020-01-01,x,\n")
    told = run(capsys, "--csv", str(table), "--label", "Churn")
    assert (told["rows"], told["rows_without_label"]) == (600, 1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--label", "Left"], "has no column 'Left'"),
        (["--label", "Churn", "--drop", "id"], "has no column 'id'"),
        (["--label", "Churn", "--drop", "Churn"], "is the label"),
        (["--label", "payment"], "--positive VALUE"),
        (["--label", "Churn", "--positive", "Gone"], "No row has 'Gone'"),
        (["--label", "customerID", "--positive", "C1"], "at least 10 of each"),
        (
            ["--label", "Churn", "--drop", "customerID,payment,charges,joined"],
            "no column that tells rows apart",
        ),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    table: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert sentence in refused(capsys, "--csv", str(table), *words)


def test_a_file_that_is_none_or_no_table_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.csv"
    assert "There is no file" in refused(capsys, "--csv", str(path), "--label", "y")
    path.write_bytes("label,姓名\n1,张\n".encode("gbk"))
    assert "UTF-8" in refused(capsys, "--csv", str(path), "--label", "label")
    path.write_text("a,b\n")
    assert "no rows" in refused(capsys, "--csv", str(path), "--label", "a")
    path.write_text("a,b\n1,2\n1,2,3\n")
    assert "not a CSV" in refused(capsys, "--csv", str(path), "--label", "a")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """700 rows of everything a table may hold; whoever left has the higher `told`, in half of the rows unknown."""
    random = np.random.default_rng(7)
    path = tmp_path / "odd.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "row_id",
                "account",
                "told",
                "is_new",
                "since",
                "seen_at",
                "city",
                "street",
                "empty",
                "same",
                "sparse",
                "odd_number",
                "note",
                "grade",
                "left",
            ]
        )
        for number in range(700):
            left = random.random() < 0.2
            writer.writerow(
                [
                    1000 + 3 * number,
                    f"A-{number:05d}",
                    "" if random.random() < 0.5 else f"{random.normal() + left:.3f}",
                    random.choice(["True", "False"]),
                    f"2021/{random.integers(1, 13):02d}/15",
                    f"2021-03-{random.integers(1, 29):02d}T08:00:00",
                    random.choice(["北京", "上海", "A, B", 'say "no"', ""]),
                    f"street {random.integers(0, 100_000)}",
                    "",
                    "x",
                    "7" if number == 3 else "",
                    random.choice(["inf", "nan", "1e400", "-5", "12"]),
                    f"two\nlines {number}",
                    random.choice(["a", "b", "c"]),
                    int(left),
                ]
            )
    return path


def test_a_table_of_everything_is_read_and_judged(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, "--csv", str(odd), "--label", "left")
    assert told["rows"] == 700
    assert told["auc"]["low"] > 0.5
    assert told["left_out"] == {
        "row_id": "it numbers the rows",
        "account": "no value is shared by 5 rows",
        "street": "no value is shared by 5 rows",
        "empty": "every row has the same value",
        "same": "every row has the same value",
        "note": "no value is shared by 5 rows",
    }


def test_days_and_flags_become_numbers_and_amounts_are_no_ids(odd: Path) -> None:
    read = read_table(odd, "left", "1", ["note"])
    assert {"is_new", "since", "seen_at", "told", "odd_number"} <= set(read.factors)
    assert {f"grade = {value}" for value in "abc"} <= set(read.factors)
    days = read.values[:, read.factors.index("since")]
    assert days.min() == 18642  # 2021-01-15
    assert not np.isinf(read.values).any()


def test_a_label_of_many_values_needs_the_one_that_means_leaving(
    odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--positive" in refused(capsys, "--csv", str(odd), "--label", "grade")
    assert run(capsys, "--csv", str(odd), "--label", "grade", "--positive", "a")["churners"] > 150
    assert "--positive" in refused(capsys, "--csv", str(odd), "--label", "account")


def test_a_table_too_small_to_judge_by_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tiny.csv"
    path.write_text("a,left\n" + "".join(f"{number},{number % 3 == 0:d}\n" for number in range(12)))
    assert "at least 10 of each" in refused(capsys, "--csv", str(path), "--label", "left")


# ---------------------------------------------------------------- the figures


def test_weighted_figures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    scores, weights = random.integers(0, 30, 400) / 30, random.random(400)
    happened = (random.random(400) < scores).astype(float)
    found = quality.figures(scores, happened, weights)
    assert found["auc"] == pytest.approx(roc_auc_score(happened, scores, sample_weight=weights))
    assert found["pr_auc"] == pytest.approx(average_precision_score(happened, scores, sample_weight=weights))


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    losses = np.random.default_rng(1).normal(0.5, 2, 2000)
    low, high = bootstrap.mean_difference(losses, np.ones(2000))
    assert (high - low) / 2 == pytest.approx(1.96 * losses.std() / 2000**0.5, rel=0.1)
    assert (high + low) / 2 == pytest.approx(losses.mean(), abs=0.01)


def test_the_same_scores_do_not_differ_in_any_draw() -> None:
    random = np.random.default_rng(1)
    scores, happened = random.random(200), (random.random(200) < 0.2).astype(float)
    assert bootstrap.auc_difference(scores, 3 * scores, happened, np.ones(200)) == (0.0, 0.0)
    assert bootstrap.auc_difference(happened, -happened, happened, np.ones(200)) == (1.0, 1.0)


def test_the_calibration_error_is_what_is_promised_less_what_is_seen() -> None:
    happened = np.tile([1.0, 0.0, 0.0, 0.0], 100)
    assert quality.calibration_error(np.full(400, 0.25), happened, np.ones(400)) == pytest.approx(0.0)
    assert quality.calibration_error(np.full(400, 0.40), happened, np.ones(400)) == pytest.approx(0.15)
