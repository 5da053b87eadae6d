"""Figures, ratios, verdicts and the command line of the benchmark."""

import pytest

from tests.bench import report
from tests.bench.__main__ import arguments
from tests.bench.report import Line
from tests.bench.rows import Row, read_figures, rows
from tests.bench.targets import gateway_environment, new_key

CPU = Line("cpu_ms", "CPU", 3, min)
LAG = Line("lag_p99_ms", "lag", added=True)
ROWS = {row.name: row for row in rows(quick=True)}


def figures(**changes):
    usual = {"requests": 10, "failures": 0, "first_failure": ""}
    return {**usual, **changes}


def results(whole=(0.2, 0.4), stream=(10.0, 10.0), failed=(0, 0), lag=(20, 30)):
    """Two rounds: the second on a host that is twice as slow."""
    json_base = [figures(cpu_ms=0.1), figures(cpu_ms=0.2)]
    stream_base = [figures(cpu_ms=5.0), figures(cpu_ms=5.0)]
    quiet = [figures(lag_p99_ms=1.0), figures(lag_p99_ms=2.0)]
    held = [figures(lag_p99_ms=n, failures=f) for n, f in zip(lag, failed, strict=True)]
    return {
        "direct": {"json16": json_base, "stream": stream_base, "hold": quiet},
        "forwarder": {"json16": json_base, "stream": stream_base, "hold": quiet},
        "gateway": {
            "json16": [figures(cpu_ms=n) for n in whole],
            "stream": [figures(cpu_ms=n) for n in stream],
            "hold": held,
        },
    }


def test_ratios_compare_figures_of_the_same_round() -> None:
    assert report.ratios(results(), "gateway", "json16", CPU) == [2.0, 2.0]
    assert report.ratios(results((0.2, 0.2)), "gateway", "json16", CPU) == [2.0, 1.0]


def test_a_round_without_a_figure_has_no_ratio() -> None:
    found = results()
    del found["gateway"]["json16"][0]["cpu_ms"]
    assert report.ratios(found, "gateway", "json16", CPU) == [2.0]
    assert report.values(found, "gateway", "json16", CPU) == [None, 0.4]


def test_added_figures_are_above_the_direct_row_of_their_round() -> None:
    assert report.values(results(), "gateway", "hold", LAG) == [19.0, 28.0]
    assert report.values(results(), "direct", "hold", LAG) == [None, None]


def test_met_targets_are_told_with_their_value() -> None:
    held = "500 held streams: lag p99 above direct: 23.5 ms (target <= 100 ms): met"
    assert report.verdicts(results()) == [
        "JSON, 16 connections: CPU over the forwarder's: 2.00x (target <= 4x): met",
        "paced stream: CPU over the forwarder's: 2.00x (target <= 3x): met",
        "500 held streams: failures: 0 (target <= 0): met",
        f"{held} (aim 50 ms: met)",
    ]


def test_missed_targets_are_told_with_the_distance() -> None:
    found = results((0.5, 1.0), (20, 20), (0, 3), (110, 130))
    assert [text.partition("): ")[2] for text in report.verdicts(found)] == [
        "missed by 1.00x",
        "missed by 1.00x",
        "missed by 3",
        "missed by 18.5 ms (aim 50 ms: missed)",
    ]


def test_what_was_not_measured_is_not_called_met() -> None:
    found = results()
    found["gateway"] = {"json16": [figures()]}
    assert all("not measured" in text for text in report.verdicts(found))


def test_failed_requests_are_listed_with_their_first_answer() -> None:
    found = results(failed=(0, 3))
    found["gateway"]["hold"][1]["first_failure"] = "status 429, …"
    assert report.failures(found) == [
        "gateway, hold, round 2: 3 of 13 failed; first: status 429, …"
    ]


def test_the_table_shows_each_target_and_the_ratio() -> None:
    text = report.table(results(), [ROWS["json16"]])
    lines = {line[:24].strip(): line[24:].split() for line in text.splitlines()}
    heads = ["direct", "forwarder", "gateway", "gateway/forwarder"]
    assert (
        next(line.split()[-4:] for line in text.splitlines() if "JSON" in line) == heads
    )
    assert lines["CPU ms per request"] == [
        "0.100",
        "0.100",
        "0.200",
        "2.00x",
        "(2.00-2.00)",
    ]
    assert lines["requests per second"] == ["-", "-", "-", "-"]
    assert lines["failed requests"] == ["0", "0", "0", "-"]


def test_the_json_holds_raw_rounds_ratios_and_verdicts() -> None:
    found = report.as_json(results(), list(ROWS.values()), {"text": "about"})
    assert found["rounds"]["gateway"]["json16"][1]["cpu_ms"] == 0.4
    assert found["ratios_to_forwarder"]["gateway"]["json16"]["CPU ms per request"] == [
        2,
        2,
    ]
    assert len(found["verdicts"]) == 4


def test_figures_of_a_stream_row_are_per_stream_and_per_chunk() -> None:
    raw = {
        "requests": 4,
        "failures": 1,
        "first_failure": "cut",
        "rps": 2.0,
        "peak_open": 3,
        "chunks": 200,
        "latency_us": {"n": 4, "p50": 1000.0, "p99": 2000.0, "max": 3000.0},
        "ttft_us": {"n": 4, "p50": 500.0, "p99": 600.0, "max": 700.0},
        "lag_us": {"n": 0},
    }
    found = read_figures(ROWS["stream"], raw, 0.02)
    assert found["cpu_ms"] == pytest.approx(5)
    assert found["cpu_us_per_chunk"] == pytest.approx(100)
    assert (found["p50_ms"], found["ttft_p99_ms"]) == (1.0, 0.6)
    assert "lag_p50_ms" not in found
    assert found["failures"] == 1
    assert "cpu_ms" not in read_figures(ROWS["stream"], raw, None)
    assert "cpu_ms" not in read_figures(ROWS["stream"], {**raw, "requests": 0}, 1.0)


def test_a_quick_run_asks_the_same_of_a_target_for_a_shorter_time() -> None:
    def shape(row: Row) -> tuple[object, ...]:
        return row.name, row.mode, row.connections, row.interval_us

    assert [shape(r) for r in rows(quick=True)] == [shape(r) for r in rows(quick=False)]
    assert {r.name: r.chunks for r in rows(quick=False)} == {
        "hold": 50,
        "json16": 0,
        "json1": 0,
        "stream": 50,
        "burst": 50,
    }


def test_the_gateway_gets_settings_that_no_env_file_can_override(tmp_path) -> None:
    env = gateway_environment(tmp_path, "http://127.0.0.1:9")
    assert env["GEMPROXY_DATABASE_URL"] == f"sqlite:///{tmp_path}/bench.sqlite3"
    assert env["GEMPROXY_GEMINI_BASE_URL"] == "http://127.0.0.1:9"
    assert (env["GEMPROXY_REDIS_URL"], env["GEMPROXY_GEMINI_API_KEYS"]) == ("", "")
    assert "DATABASE_URL" not in env
    assert "PATH" in env


def test_keys_have_the_form_of_real_ones_and_differ() -> None:
    keys = {new_key() for _ in range(4)}
    assert len(keys) == 4
    assert all(len(key) == 39 and key.startswith("AIzaSy") for key in keys)


def test_defaults_of_the_command_line() -> None:
    assert arguments([]).rounds == 3
    assert arguments(["--quick"]).rounds == 1
    assert arguments(["--quick", "--rounds", "2"]).rounds == 2
    assert arguments([]).rows == [row.name for row in rows(quick=False)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rows", "json16,nothing"], "no such row: nothing"),
        (["--rounds", "0"], "at least 1"),
        (["--gateway-url", "http://127.0.0.1:8100"], "--mock-port"),
        (["--target", "peer=http://127.0.0.1:4000"], "--mock-port"),
    ],
)
def test_a_command_line_that_cannot_work_is_refused(words, said, capsys) -> None:
    with pytest.raises(SystemExit):
        arguments(words)
    assert said in capsys.readouterr().err
