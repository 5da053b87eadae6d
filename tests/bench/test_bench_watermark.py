"""The benchmark of the corner mark's removal runs and tells all its figures."""

import pytest

from tests.bench import watermark


def test_it_prints_a_line_for_each_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert watermark.main(["--rounds", "1", "--sides", "256", "512"]) == 0

    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == list(watermark.HEADS)
    assert (first.split()[0], second.split()[0]) == ("256", "512")
    assert len(first.split()) == len(watermark.HEADS)
    assert all(float(cell) > 0 for cell in first.split()[:-1])


def test_it_tells_whether_the_target_is_met(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = dict.fromkeys(watermark.HEADS, 2.0) | {"side": 2048}
    monkeypatch.setattr(watermark, "measured", lambda side, rounds: figures)

    watermark.main(["--sides", "2048"])

    assert "target at 2048: 2.00 of 3.0 ms, met" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--sides", "100"]])
def test_it_refuses_what_it_cannot_measure(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        watermark.main(words)
