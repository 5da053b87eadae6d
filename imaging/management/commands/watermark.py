"""`manage.py watermark`: look for the visible corner mark, take it off, measure it."""

import json
import os
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from PIL import Image

from imaging.bounds import PictureRefused
from imaging.decoding import Picture, opened
from imaging.management.progress import counted
from imaging.watermark import calibration, detection, marks, removal
from imaging.watermark.calibration import Calibration, Uncalibrated
from imaging.watermark.detection import Finding

HEADS = ("file", "size", "mark", "score", "strength", "box", "what")
#: Why a picture was left alone, for people.
REASONS: dict[removal.Reason, str] = {
    "no_mark": "no mark",
    "unknown_opacity": "left: a star of unknown opacity (see --adaptive)",
    "residual": "left: taking it off would be visible",
    "format": "left: not PNG, JPEG or WebP",
    "mode": "left: not 8 bits of red, green and blue",
    "animated": "left: animated",
    "transparent": "left: the mark's place is transparent",
}


class Command(BaseCommand):
    """Print a table with one line per file; exit code 1 if a file could not be done."""

    help = "Find, remove or measure the visible corner mark of Gemini's pictures."
    # Files need neither database nor settings that work.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        inspect = actions.add_parser("inspect", help="say which mark each file carries")
        inspect.add_argument(
            "--all", action="store_true", help="every place that was examined"
        )
        remove = actions.add_parser("remove", help="write files without their mark")
        remove.add_argument(
            "--output", type=Path, metavar="DIR", help="where the files go, all of them"
        )
        remove.add_argument(
            "--overwrite",
            action="store_true",
            help="replace files that exist: the originals, without --output",
        )
        for action in (inspect, remove):
            action.add_argument(
                "--adaptive",
                action="store_true",
                help="also a star of an unknown opacity: only for Gemini's own pictures",
            )
            action.add_argument(
                "--variants",
                metavar="NAMES",
                help=f"comma list of {', '.join(sorted(marks.VARIANTS))}",
            )
        calibrate = actions.add_parser(
            "calibrate", help="measure the mark on lossless pictures of plain black"
        )
        calibrate.add_argument("--size", type=int, help="side of the mark's box")
        calibrate.add_argument("--margin", type=int, help="from right and bottom")
        calibrate.add_argument(
            "--save", type=Path, metavar="JSON", help="write the level tables there"
        )
        for action in (inspect, remove, calibrate):
            action.add_argument("files", nargs="+", type=Path, metavar="FILE")

    def handle(self, *, action: str, **options: Any) -> None:
        if action == "calibrate":
            self._calibrate(**options)
            return
        options["variants"] = _variants(options["variants"])
        rows, failed = self._rows(action, options)
        self._table(rows)
        if failed:
            raise CommandError(f"{failed} of {len(options['files'])} files failed.")

    def _rows(
        self, action: str, options: dict[str, Any]
    ) -> tuple[list[tuple[str, ...]], int]:
        """Do it file by file; return the table's lines and how many files failed."""
        if action == "remove":
            targets = _targets(options)
        rows: list[tuple[str, ...]] = []
        failed = 0
        for path in counted(options["files"], self.stderr, action):
            try:
                data = path.read_bytes()
                if action == "remove":
                    lines, bad = _remove(path, data, targets[path], options)
                else:
                    lines, bad = _inspect(path, data, options), False
            except (OSError, PictureRefused) as error:
                text = error.strerror if isinstance(error, OSError) else str(error)
                lines, bad = [_line(path, what=f"failed: {text}")], True
            rows += lines
            failed += bad
        return rows, failed

    def _table(self, rows: Sequence[tuple[str, ...]]) -> None:
        table = [HEADS, *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            cells = (cell.ljust(wide) for cell, wide in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())

    def _calibrate(
        self,
        *,
        files: list[Path],
        size: int | None,
        margin: int | None,
        save: Path | None,
        **_: Any,
    ) -> None:
        if (size is None) != (margin is None):
            raise CommandError("Give --size and --margin together, or neither.")
        groups: dict[tuple[int, int], list[Image.Image]] = {}
        for path in counted(files, self.stderr, "calibrate"):
            image = _opened(path).image
            place = (size, margin) if size and margin else _place(path, image)
            groups.setdefault(place, []).append(image)
        try:
            found = [
                calibration.calibrated(images, size=side, margin=edge)
                for (side, edge), images in sorted(groups.items())
            ]
        except Uncalibrated as error:
            raise CommandError(str(error)) from None
        for one in found:
            self._tell(one)
        if save:
            text = json.dumps([one.as_json() for one in found])
            save.write_text(text + "\n", encoding="utf-8")

    def _tell(self, found: Calibration) -> None:
        self.stdout.write(
            f"{found.size} pixels, {found.margin} from the edge, {found.samples}"
            f" picture(s): opacity {found.opacity:.4f}, mean error {found.error:.4f}"
        )
        counts = [(found.levels == level).sum() for level in range(17)]
        numbers = " ".join(f"{level}:{count}" for level, count in enumerate(counts))
        self.stdout.write(f"  pixels of each level  {numbers}")
        self.stdout.write(
            f"  built-in star         {found.differing} of {found.levels.size} pixels"
            f" differ, at most by {found.most:.3f}, {found.mean:.5f} on the average"
        )


def _inspect(path: Path, data: bytes, options: dict[str, Any]) -> list[tuple[str, ...]]:
    picture = opened(data)
    if reason := removal.untreated(picture):
        return [_line(path, picture, what=REASONS[reason])]
    chosen = {"variants": options["variants"], "adaptive": options["adaptive"]}
    found = detection.survey(picture.image, **chosen)
    if options["all"]:
        return [_line(path, picture, one, _verdict(one)) for one in found]
    seen = [one for one in found if one.accepted or one.adaptive]
    if not seen:
        return [_line(path, picture, what=REASONS["no_mark"])]
    return [_line(path, picture, seen[0], _verdict(seen[0]))]


def _verdict(finding: Finding) -> str:
    if finding.accepted:
        return "mark of unknown opacity" if finding.adaptive else "mark"
    return "star of unknown opacity" if finding.adaptive else "none here"


def _remove(
    path: Path, data: bytes, target: Path, options: dict[str, Any]
) -> tuple[list[tuple[str, ...]], bool]:
    """Clean one file; return its line, and whether its mark could not be taken off."""
    picture = opened(data)
    cleaned = removal.clean(
        picture, variants=options["variants"], adaptive=options["adaptive"]
    )
    changed = cleaned.data is not picture.data
    # What followed the picture's end belongs to the file all the same.
    if changed or target != path:
        _write(target, cleaned.data if changed else data)
    finding = cleaned.findings[0] if cleaned.findings else None
    what = REASONS.get(cleaned.reason, "removed")
    return [_line(path, picture, finding, what)], cleaned.residual


def _line(
    path: Path,
    picture: Picture | None = None,
    finding: Finding | None = None,
    what: str = "",
) -> tuple[str, ...]:
    size = f"{picture.width}x{picture.height}" if picture else "-"
    if finding is None:
        return (path.name, size, "-", "-", "-", "-", what)
    box = finding.box
    return (
        path.name,
        size,
        finding.variant,
        f"{finding.score:.2f}",
        f"{finding.strength:.2f}",
        f"{box.x},{box.y} {box.width}x{box.height}",
        what,
    )


def _variants(names: str | None) -> frozenset[str] | None:
    if names is None:
        return None
    try:
        return marks.checked(frozenset(name.strip() for name in names.split(",")))
    except ValueError as error:
        raise CommandError(str(error)) from None


def _targets(options: dict[str, Any]) -> dict[Path, Path]:
    """Return where each file goes; nothing is written before all places are free."""
    output: Path | None = options["output"]
    if output is None and not options["overwrite"]:
        raise CommandError("Give --output DIR, or --overwrite to replace the files.")
    files: list[Path] = options["files"]
    if output is None:
        return {path: path for path in files}
    targets = {path: output / path.name for path in files}
    if len(set(targets.values())) < len(targets):
        raise CommandError("Two of the files have the same name.")
    taken = [target for target in targets.values() if target.exists()]
    if taken and not options["overwrite"]:
        raise CommandError(f"{taken[0]} exists; --overwrite replaces it.")
    output.mkdir(parents=True, exist_ok=True)
    return targets


def _write(target: Path, data: bytes) -> None:
    """Write the whole file or nothing."""
    number, name = tempfile.mkstemp(dir=target.parent, prefix=".watermark-")
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o644)
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _opened(path: Path) -> Picture:
    try:
        picture = opened(path.read_bytes())
    except (OSError, PictureRefused) as error:
        raise CommandError(f"{path.name}: {error}") from None
    if reason := removal.untreated(picture):
        raise CommandError(f"{path.name}: {REASONS[reason]}")
    return picture


def _place(path: Path, image: Image.Image) -> tuple[int, int]:
    """Return size and margin of the mark that is found in the picture."""
    natives = frozenset(mark.name for mark in marks.MARKS if mark.native)
    finding = detection.inspect(image, variants=natives)
    if finding is None:
        raise CommandError(f"{path.name}: no mark found; say --size and --margin.")
    mark = next(one for one in marks.MARKS if one.name == finding.variant)
    return mark.size, mark.margin
