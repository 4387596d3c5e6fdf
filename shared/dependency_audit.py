"""``make audit``: known faults of the installed packages, by pip-audit.

Exit status 1 where a fault is known. Where the advisory service cannot be reached, or answers for
no package (as a mirror of the index does), it says so and ends well: a machine without that
network must not fail for it, and must not be taken for checked either.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

SECONDS = 300.0

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command() -> list[str]:
    """What is run: pip-audit over this environment, our own package left out."""
    options = ("--progress-spinner", "off", "--skip-editable", "--timeout", "20", "-f", "json")
    return [sys.executable, "-m", "pip_audit", *options]


def audit(run: Run = subprocess.run, say: Callable[[str], object] = sys.stderr.write) -> int:
    """The exit status: 1 for a known fault, else 0; what could not be checked is said."""
    try:
        done = run(command(), capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        say(f"NOT CHECKED: the advisory service did not answer within {SECONDS:g} s\n")
        return 0
    try:
        packages: list[Mapping[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        say(f"NOT CHECKED: pip-audit or its advisory service does not answer: {last[:300]}\n")
        return 0
    checked = [package for package in packages if "skip_reason" not in package]
    if not checked:
        say(f"NOT CHECKED: the advisory service answers for none of {len(packages)} packages\n")
        return 0
    faults = [(package, fault) for package in checked for fault in package.get("vulns", ())]
    for package, fault in faults:
        mended = ", ".join(fault.get("fix_versions") or ()) or "no version yet"
        say(f"{package['name']} {package['version']}: {fault['id']}, mended in {mended}\n")
    left_out = len(packages) - len(checked)
    say(f"{len(checked)} packages checked, {len(faults)} known faults; {left_out} left out\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(audit())
