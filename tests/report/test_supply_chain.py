"""What others' code may do here: actions are pinned by commit, no token stays in a checkout, and an audit says what it found."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LOCKS = sorted(ROOT.glob("requirements*.txt"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_checkouts_keep_no_token(path: Path) -> None:
    text = path.read_text()
    used = re.findall(r"uses: (.*)", text)
    assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", one) for one in used), used
    content: dict[str, Any] = yaml.safe_load(text)
    assert content["permissions"] == {"contents": "read"}
    steps = [step for job in content["jobs"].values() for step in job["steps"]]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts and all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_one_commit_stands_for_one_version_of_an_action() -> None:
    used = {line for path in WORKFLOWS for line in re.findall(r"uses: (.*)", path.read_text())}
    assert len({line.split("@")[0] for line in used}) == len(used)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_has_hashes(path: Path) -> None:
    packages = re.split(r"^(?=[A-Za-z0-9])", path.read_text(), flags=re.MULTILINE)[1:]
    assert packages and all("==" in one and "--hash=sha256:" in one for one in packages)


TOOLS = {
    "uv": '[ "$2" = venv ] && mkdir -p "${!#}/bin"; [ "$2" = pip ] && cp .venv/bin/tools/* "$(dirname "$6")"; exit 0',
    "tools/cyclonedx-py": 'echo "{}" > "$4"',
    "tools/pip-audit": '[ -z "$SAID" ] || echo "$SAID" >&2; echo "$TOLD"; exit "$STATUS"',
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("said", "told", "status", "expected", "words"),
    [
        ("No known vulnerabilities found", "", 0, 0, "nothing known against 1 packages, of which 0 could not"),
        ("No known vulnerabilities found", "a  could not be audited: a", 0, 0, "of which 1 could not be asked about"),
        ("Found 1 known vulnerability in 1 package", "a 1.0 CVE-1", 1, 1, "CVE-1"),
        ("requests.exceptions.ProxyError: no route", "", 1, 0, "::warning::requirements.txt was not audited: requests"),
    ],
    ids=["nothing", "unknown", "found", "no network"],
)
def test_an_audit_says_what_it_found_and_what_it_could_not_ask(
    said: str, told: str, status: int, expected: int, words: str, tmp_path: Path
) -> None:
    for name, code in TOOLS.items():
        path = tmp_path / ".venv" / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{code}\n")
        path.chmod(0o755)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "audit", tmp_path / ".ci" / "audit")
    for lock in LOCKS:
        (tmp_path / lock.name).write_text("a==1.0 \\\n    --hash=sha256:0\n")
    environment = {**os.environ, "SAID": said, "TOLD": told, "STATUS": str(status)}
    done = subprocess.run([tmp_path / ".ci" / "audit"], env=environment, capture_output=True, text=True)
    assert done.returncode == expected and words in done.stdout, done
    for lock in LOCKS:
        assert json.loads((tmp_path / "_build" / "audit" / f"{lock.stem}.cdx.json").read_text()) == {}
