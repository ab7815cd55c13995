"""Every Python block of the documentation runs; every link between pages leads somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from millstream.jobmanager.job_status import mermaid

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")
BLOCKS = [
    pytest.param(match.group(1), id=f"{page.relative_to(ROOT)}:{page.read_text().count(chr(10), 0, match.start()) + 1}")
    for page in PAGES
    for match in BLOCK.finditer(page.read_text())
]


@pytest.mark.integration
@pytest.mark.parametrize("code", BLOCKS)
def test_block_runs(tmp_path: Path, code: str) -> None:
    script = tmp_path / "block.py"
    script.write_text(code)
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=100
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = [
        link for link in LINK.findall(page.read_text()) if "://" not in link and not (page.parent / link).exists()
    ]
    assert not broken


def test_the_states_of_a_job_are_those_of_the_table() -> None:
    page = (ROOT / "docs" / "reference" / "job-states.md").read_text()
    assert mermaid() in page, "paste millstream.jobmanager.job_status.mermaid() into the page"
