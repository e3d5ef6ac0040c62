"""How far a load is, in one line for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from kaas.loader.report import Phase, Progress, Result

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024.0
_MINUTE, _HOUR = 60, 3600
_PERCENT: Final = re.compile(r"(\d{1,3}\.\d)% ")
_ORDER: Final = (Phase.LISTING, Phase.LOADING, Phase.VERIFYING)


def size(count: float) -> str:
    """Bytes for a person, with three figures."""
    unit, scaled = _scaled(count)
    return f"{_figure(scaled, unit)}{unit}"


def _scaled(count: float) -> tuple[str, float]:
    scaled = float(count)
    for unit in _UNITS[:-1]:
        if scaled < _STEP:
            return unit, scaled
        scaled /= _STEP
    return _UNITS[-1], scaled


def _figure(scaled: float, unit: str) -> str:
    return f"{scaled:.0f}" if unit == "B" else f"{scaled:.1f}"


def span(seconds: float) -> str:
    """Seconds for a person, with two parts at most."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"


def together(parts: Sequence[Progress]) -> Progress | None:
    """Progress of several Pods as one; totals are unknown while one of them is, and so is what remains. None of none.

    Each lists all of the source, and takes its own. Who has nothing to come any more remains for no time.
    """
    if not parts:
        return None
    phases = [p.phase for p in parts]
    return Progress(
        phase=min(phases, key=_ORDER.index),
        bytes_done=sum(p.bytes_done for p in parts),
        files_done=sum(p.files_done for p in parts),
        bytes_total=_sum(p.bytes_total for p in parts),
        files_total=_sum(p.files_total for p in parts),
        rate=sum(p.rate for p in parts),
        remaining=_longest([p.remaining for p in parts if p.bytes_total is None or p.bytes_done < p.bytes_total]),
        listed=max(p.listed for p in parts),
    )


def _longest(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return max(known, default=None) if len(known) == len(values) else None


def _sum(values: Iterable[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def last_progress(log: str) -> Progress | None:
    """The newest progress in the end of a log; None when it has none. A line may be cut, or be somebody else's."""
    found = (Progress.parse(line) for line in reversed(log.splitlines()))
    return next((progress for progress in found if progress is not None), None)


def words(progress: Progress, attempt: int, tries: int) -> str:
    """Such as `43.1% 12.4/28.8GiB 812/1893 files 1.2GiB/s ETA 13s attempt 2/6`."""
    tail = f" attempt {attempt}/{tries}" if attempt > 1 else ""
    if progress.bytes_total is None or progress.files_total is None:
        return _so_far(progress) + tail
    unit, total = _scaled(progress.bytes_total)
    done = progress.bytes_done / _STEP ** _UNITS.index(unit)
    parts = [
        f"{percent(progress):.1f}% {_figure(done, unit)}/{_figure(total, unit)}{unit}",
        f"{progress.files_done}/{progress.files_total} files",
        f"{size(progress.rate)}/s",
    ]
    if progress.remaining is not None:
        parts.append(f"ETA {span(progress.remaining)}")
    return " ".join(parts) + tail


def _so_far(progress: Progress) -> str:
    """Without totals."""
    loaded = f"{_count(progress.files_done, 'file')} and {size(progress.bytes_done)} so far"
    if progress.phase is not Phase.LISTING:
        return loaded
    if not progress.listed:
        return loaded if progress.files_done else "the source is being listed"
    found = f"{_count(progress.listed, 'object')} listed"
    return f"{found}; {loaded}" if progress.files_done else f"{found} so far"


def percent(progress: Progress) -> float:
    """Of the bytes; of the files when there are only empty ones."""
    done, total = progress.bytes_done, progress.bytes_total or 0
    if not total:
        done, total = progress.files_done, progress.files_total or 0
    return min(100.0, 100.0 * done / total) if total else 100.0


def percent_in(message: str) -> float | None:
    """The percentage that a message of `words` says; None when it says none."""
    found = _PERCENT.match(message)
    return float(found[1]) if found else None


def summary(results: Sequence[Result]) -> str:
    """What was loaded, in one line; results: one a Pod."""
    if not results:
        return "loaded; what the loader said of it is lost"
    total = sum(r.bytes for r in results)
    seconds = max(r.seconds for r in results)
    verified: dict[str, int] = {}
    for result in results:
        _add(verified, result.verified)
    parts = [f"{size(total)} in {_count(sum(r.files for r in results), 'file')}, {span(seconds)}"]
    parts += [f"{n} {what}" for what in ("skipped", "deleted") if (n := sum(getattr(r, what) for r in results))]
    parts.append("verified by " + ", ".join(f"{how} {n}" for how, n in sorted(verified.items())) if verified else "")
    return ", ".join(filter(None, parts))


def _add(totals: dict[str, int], more: Mapping[str, int]) -> None:
    for how, count in more.items():
        totals[how] = totals.get(how, 0) + count


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
