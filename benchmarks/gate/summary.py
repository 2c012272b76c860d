"""From single results to counts, shares with their bounds, and what each check is worth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from scipy import stats

from benchmarks.gate.kinds_good import EQUAL

Row = dict[str, Any]
HALF = 0.5
"""Within so many margins of the champion a candidate is its equal."""
CLEARLY = 2.0
LEVEL = 0.95
ENOUGH = 840
"""Bad candidates of which none may be promoted."""


@dataclass(frozen=True)
class Target:
    """What is asked for, what was measured, and whether that is enough."""

    asked: str
    measured: str
    met: bool


def upper(count: int, n: int) -> float:
    """One-sided 95% upper bound of a share (Clopper & Pearson, Biometrika 26, 1934); 1 where nothing was tried."""
    return 1.0 if count >= n else float(stats.beta.ppf(LEVEL, count + 1, n - count))


def lower(count: int, n: int) -> float:
    """One-sided 95% lower bound of a share."""
    return 0.0 if count == 0 else float(stats.beta.ppf(1 - LEVEL, count, n - count + 1))


def truly_bad(rows: Iterable[Row]) -> list[Row]:
    """Those of the bad kinds that are bad in truth."""
    return [row for row in rows if row["group"] == "bad" and row["bad"]]


def equals(rows: Iterable[Row], size: str | None = None) -> list[Row]:
    """Good candidates whose true difference is at most half a margin to their disadvantage."""
    return [r for r in rows if r["group"] == "good" and r["kind"] in EQUAL and r["D"] >= -HALF and size in (None, r["size"])]


def clearly_better(rows: Iterable[Row], size: str | None = None) -> list[Row]:
    """Good candidates that truly save more than two margins."""
    return [r for r in rows if r["group"] == "good" and r["D"] > CLEARLY and size in (None, r["size"])]


def share_of(rows: list[Row], verdict: str) -> tuple[int, int]:
    """How many have this verdict, of how many."""
    return sum(row["verdict"] == verdict for row in rows), len(rows)


def fired(rows: list[Row]) -> Counter[str]:
    """How often each check did not pass."""
    return Counter(check for row in rows for check, outcome in row["findings"].items() if outcome != "pass")


def through_without(check: str, rows: list[Row]) -> Counter[str]:
    """Kinds (or cases) that are promoted once the check is taken away, and were not before.

    Findings do not depend on each other, so taking one away is the same as judging without its check.
    """
    found: Counter[str] = Counter()
    for row in rows:
        outcomes = {outcome for name, outcome in row["findings"].items() if name != check}
        if outcomes == {"pass"} and row["findings"].get(check, "pass") != "pass":
            found[row.get("kind") or row["case"]] += 1
    return found


def by(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Rows in groups, in the order in which groups appear."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return dict(groups)


def targets(results: dict[str, Any]) -> list[Target]:
    """The targets of the gate's specification."""
    rows = results["candidates"]
    bad, size = truly_bad(rows), "large"
    through, n = share_of(bad, "promote")
    same, better = equals(rows, size), clearly_better(rows, size)
    (rejected, m), (promoted, _), (won, k) = share_of(same, "reject"), share_of(same, "promote"), share_of(better, "promote")
    worse = [row for row in results["many"] if row["study"] == "worse"]
    passed = sum(row["outcome"] == "pass" for row in worse)
    wrong = [row for row in results["hostile"][1:] if row["verdict"] not in {"hold", "reject"}]
    slowest = max((row["seconds"] for row in results["speed"]), default=float("inf"))
    unexplained = [name for name, worth in mutation(results).items() if not worth]
    return [
        Target(
            "no bad candidate promoted, of at least 840",
            f"{through} of {n} (at most {upper(through, n):.2%})",
            through == 0 and n >= ENOUGH,
        ),
        Target("equal ones, large holdout: at most 5% REJECT", _told(rejected, m), m > 0 and rejected <= 0.05 * m),
        Target("equal ones, large holdout: at least 70% PROMOTE", _told(promoted, m), m > 0 and promoted >= 0.70 * m),
        Target("clearly better ones, large holdout: at least 90% PROMOTE", _told(won, k), k > 0 and won >= 0.90 * k),
        Target(
            "worse by 2 margins: never past the check champion, in 3,000",
            f"{passed} of {len(worse):,}",
            passed == 0 and len(worse) >= 3_000,
        ),
        Target("each check stops something, or is explained", f"unexplained: {', '.join(unexplained) or 'none'}", not unexplained),
        Target(
            "broken evidence: no traceback, never PROMOTE",
            f"{len(wrong)} of {len(results['hostile']) - 1} went wrong",
            len(results["hostile"]) > 1 and not wrong,
        ),
        *_yearly(results["year"]),
        Target("statistics of 30,000 rows within 2 s", f"{slowest:.2f} s", slowest <= 2),
    ]


def _yearly(rows: list[Row]) -> list[Target]:
    """At most 1% of years with a false promotion where clusters are independent; elsewhere within the year's budget."""
    gate = [row for row in rows if row["rule"] == "the gate"]
    found = []
    for word, limit, group in (
        ("independent clusters: a false promotion in at most 1% of years", 0.01, [row for row in gate if row["kind"] == "independent"]),
        ("other clusters: within the year's budget, 10%", 0.10, [row for row in gate if row["kind"] != "independent"]),
    ):
        worst = max((row["years with a false promotion"] for row in group), default=1.0)
        found.append(Target(word, f"at most {worst:.1%}", worst <= limit))
    return found


def mutation(results: dict[str, Any]) -> dict[str, str]:
    """For each check what is promoted without it, or why nothing is; empty where neither is known."""
    from benchmarks.gate.depth import IN_DEPTH

    bad = truly_bad(results["candidates"])
    names = list(dict.fromkeys(check for row in results["candidates"] for check in row["findings"]))
    found = {}
    for name in names:
        kinds, cases = through_without(name, bad), through_without(name, results["hostile"])
        told = [f"{kind} ({count})" for kind, count in kinds.most_common()]
        told += [f"broken evidence: {', '.join(list(cases)[:3])}{' ...' if len(cases) > 3 else ''}"] if cases else []
        found[name] = "; ".join(told) or (f"*defence in depth*: {IN_DEPTH[name]}" if name in IN_DEPTH else "")
    return found


def _told(count: int, n: int) -> str:
    return f"{count} of {n} ({count / max(n, 1):.0%}; 95% bounds {lower(count, n):.0%} and {upper(count, n):.0%})"
