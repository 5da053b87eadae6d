"""`manage.py watermark` on files."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from PIL import Image

from imaging.management import progress
from imaging.watermark import star
from tests.imaging.watermark import pictures

SIZE = (512, 430)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "clean.png"
    pictures.background(np.random.default_rng(1), SIZE, 5).save(path)
    return path


@pytest.fixture
def marked(tmp_path: Path, clean: Path) -> Path:
    path = tmp_path / "marked.png"
    with Image.open(clean) as image:
        pictures.marked(image, "v1-48").save(path)
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.png"
    path.write_bytes(b"nothing")
    return path


def run(*words: object) -> list[str]:
    out = io.StringIO()
    call_command("watermark", *map(str, words), stdout=out, stderr=io.StringIO())
    return out.getvalue().splitlines()


def failing(*words: object) -> tuple[str, list[str]]:
    out = io.StringIO()
    with pytest.raises(CommandError) as error:
        call_command("watermark", *map(str, words), stdout=out, stderr=io.StringIO())
    assert error.value.returncode == 1
    return str(error.value), out.getvalue().splitlines()


def test_inspect_tells_each_files_mark(marked: Path, clean: Path) -> None:
    head, first, second = run("inspect", marked, clean)

    assert head.split() == ["file", "size", "mark", "score", "strength", "box", "what"]
    assert first.split()[:3] == ["marked.png", "512x430", "v1-48"]
    assert first.endswith("432,350 48x48  mark")
    assert second.endswith("no mark")


def test_inspect_all_tells_every_place(marked: Path) -> None:
    lines = run("inspect", marked, "--all")

    assert len(lines) == 1 + 4
    assert lines[1].endswith("mark")
    assert all(line.endswith("none here") for line in lines[2:])


def test_inspect_changes_no_file(marked: Path) -> None:
    before = marked.read_bytes()

    run("inspect", marked)

    assert marked.read_bytes() == before


def test_a_file_that_fails_does_not_stop_the_others(
    broken: Path, marked: Path, tmp_path: Path
) -> None:
    message, lines = failing("inspect", broken, tmp_path / "absent.png", marked)

    assert message == "2 of 3 files failed."
    assert "failed: The file is no picture" in lines[1]
    assert "failed: No such file" in lines[2]
    assert lines[3].endswith("mark")


def test_remove_writes_every_file_into_the_folder(
    marked: Path, clean: Path, tmp_path: Path
) -> None:
    before = marked.read_bytes()

    lines = run("remove", marked, clean, "--output", tmp_path / "new" / "folder")

    folder = tmp_path / "new" / "folder"
    assert lines[1].endswith("removed")
    assert (folder / "clean.png").read_bytes() == clean.read_bytes()
    after = pictures.pixels((folder / "marked.png").read_bytes()).astype(int)
    assert abs(after - pictures.pixels(clean.read_bytes())).max() <= 1
    assert marked.read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {"marked.png", "clean.png"}


def test_remove_without_a_place_to_write_says_so(marked: Path) -> None:
    before = marked.read_bytes()

    message, _ = failing("remove", marked)

    assert "--output" in message
    assert "--overwrite" in message
    assert marked.read_bytes() == before


def test_remove_replaces_originals_on_demand(marked: Path, clean: Path) -> None:
    untouched = clean.stat()
    marked.chmod(0o640)

    run("remove", marked, clean, "--overwrite")

    after = pictures.pixels(marked.read_bytes()).astype(int)
    assert abs(after - pictures.pixels(clean.read_bytes())).max() <= 1
    assert marked.stat().st_mode & 0o777 == 0o640
    assert clean.stat().st_mtime_ns == untouched.st_mtime_ns
    assert clean.stat().st_ino == untouched.st_ino


def test_remove_does_not_replace_what_is_in_the_folder(
    marked: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "marked.png").write_bytes(b"precious")

    message, _ = failing("remove", marked, "--output", folder)

    assert "exists" in message
    assert (folder / "marked.png").read_bytes() == b"precious"
    run("remove", marked, "--output", folder, "--overwrite")
    assert (folder / "marked.png").read_bytes() != b"precious"


def test_two_files_of_one_name_are_refused_before_anything_is_written(
    marked: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    twin = other / marked.name
    twin.write_bytes(marked.read_bytes())

    message, _ = failing("remove", marked, twin, "--output", tmp_path / "out")

    assert "same name" in message
    assert not (tmp_path / "out").exists()


def test_what_follows_a_picture_is_kept_if_it_has_no_mark(
    clean: Path, tmp_path: Path
) -> None:
    clean.write_bytes(clean.read_bytes() + b"more of the file")

    run("remove", clean, "--output", tmp_path / "out")

    assert (tmp_path / "out" / "clean.png").read_bytes() == clean.read_bytes()


def test_a_mark_that_had_to_be_put_back_is_a_failure(
    clean: Path, tmp_path: Path
) -> None:
    with Image.open(clean) as image:
        values = np.array(pictures.marked(image, "v1-48", 0.65)).astype(float)
    tint = star.coverage(48)[:, :, None] * np.array([18, 0, -30])
    values[350:398, 432:480] += tint
    tinted = tmp_path / "tinted.png"
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(tinted)

    message, lines = failing(
        "remove", tinted, "--adaptive", "--output", tmp_path / "out"
    )

    assert message == "1 of 1 files failed."
    assert "left: taking it off would be visible" in lines[1]
    assert (tmp_path / "out" / "tinted.png").read_bytes() == tinted.read_bytes()


def test_adaptive_takes_off_an_unknown_opacity(clean: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.png"
    with Image.open(clean) as image:
        pictures.marked(image, "v1-48", 0.65).save(odd)

    plain = run("remove", odd, "--output", tmp_path / "plain")
    adaptive = run("remove", odd, "--output", tmp_path / "adaptive", "--adaptive")

    assert "unknown opacity" in plain[1]
    assert "star of unknown opacity" in run("inspect", odd)[1]
    assert (tmp_path / "plain" / "odd.png").read_bytes() == odd.read_bytes()
    assert adaptive[1].endswith("removed")


def test_only_the_named_marks_are_taken_off(marked: Path, tmp_path: Path) -> None:
    run("remove", marked, "--variants", "v2-48, v1-96", "--output", tmp_path / "out")

    assert (tmp_path / "out" / "marked.png").read_bytes() == marked.read_bytes()


@pytest.mark.parametrize("action", ["inspect", "remove"])
def test_an_unknown_mark_is_named(action: str, marked: Path) -> None:
    message, _ = failing(action, marked, "--variants", "v1-48,v8")

    assert "No such mark: v8" in message


@pytest.mark.parametrize(
    ("form", "words"), [("GIF", "not PNG, JPEG or WebP"), ("PPM", "failed: ")]
)
def test_other_files_are_left_with_a_reason(
    form: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "other"
    Image.new("RGB", (200, 200), "teal").save(path, form)

    if form == "GIF":
        lines = run("inspect", path)
    else:
        _, lines = failing("inspect", path)

    assert words in lines[1]


def test_calibrate_finds_the_place_and_compares(tmp_path: Path) -> None:
    files = []
    for variant in ("v1-48", "v1-96"):
        files.append(tmp_path / f"{variant}.png")
        pictures.marked(Image.new("RGB", (400, 400)), variant).save(files[-1])
    saved = tmp_path / "levels.json"

    lines = run("calibrate", *files, "--save", saved)

    assert lines[0].startswith(
        "48 pixels, 32 from the edge, 1 picture(s): opacity 0.50"
    )
    assert "16:744" in lines[1]
    assert "0 of 2304 pixels differ" in lines[2]
    assert "0 of 9216 pixels differ" in lines[5]
    written = json.loads(saved.read_text())
    assert [one["size"] for one in written] == [48, 96]
    assert written[0]["levels"] == star.levels(48).tolist()


def test_calibrate_measures_where_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "black.png"
    pictures.marked(Image.new("RGB", (400, 400)), "v2-48").save(path)

    lines = run("calibrate", path, "--size", 48, "--margin", 96)

    assert float(lines[0].split("opacity ")[1].split(",")[0]) == pytest.approx(
        0.3, abs=0.004
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", 48], "together"),
        (["--size", 48, "--margin", 32], "no mark in the box"),
        (["--size", 480, "--margin", 32], "too small"),
        ([], "no mark found; say --size"),
    ],
)
def test_calibrate_says_why_it_cannot(
    words: list[object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "black.png"
    Image.new("RGB", (400, 400)).save(path)

    assert message in failing("calibrate", path, *words)[0]


def test_calibrate_refuses_what_is_no_picture(broken: Path) -> None:
    assert "broken.png: The file is no picture" in failing("calibrate", broken)[0]


class Screen(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str, *, ending: str = "") -> int:
        return super().write(text + ending)


def test_a_terminal_shows_how_far_it_is() -> None:
    screen = Screen()

    assert list(progress.counted(["a", "b"], screen, "look")) == ["a", "b"]

    shown = screen.getvalue().split("\r")
    assert shown[1] == "look [" + "-" * 30 + "] 0/2"
    assert shown[2] == "look [" + "#" * 15 + "-" * 15 + "] 1/2"
    assert shown[3] == "look [" + "#" * 30 + "] 2/2\n"


def test_a_file_gets_no_bar(capsys: pytest.CaptureFixture[str], marked: Path) -> None:
    call_command("watermark", "inspect", str(marked))

    assert capsys.readouterr().err == ""
