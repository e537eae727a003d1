"""The conformance suite of the protocol against the running server.

Skipped where it is not installed: npm install @modelcontextprotocol/conformance@0.1.16 (needs Node 22), then
    MCP_CONFORMANCE="node node_modules/@modelcontextprotocol/conformance/dist/index.js" \
        python -m pytest tests/server/test_mcp_conformance.py
Without the variable a program ``conformance`` on the PATH is used.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from live import live_server

pytest.importorskip("mcp", reason="needs the extra mcp: pip install 'askaudio[mcp]'")
COMMAND = shlex.split(os.environ.get("MCP_CONFORMANCE", "")) or [shutil.which("conformance") or ""]
EXPECTED_FAILURES = Path(__file__).with_name("mcp_conformance.yaml")


def run(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module", autouse=True)
def installed():
    if not COMMAND[0] or run("--version").returncode:
        pytest.skip("no conformance suite: npm install @modelcontextprotocol/conformance, with Node 22")


def test_all_scenarios_that_apply_pass(engine, tmp_path):
    with live_server(engine, mcp=True, rate_per_s=0) as address:
        done = run("server", "--url", f"{address}v1/mcp", "--expected-failures", str(EXPECTED_FAILURES))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    for scenario in ("server-initialize", "ping", "tools-list", "tools-call-error", "dns-rebinding-protection"):
        assert f"✓ {scenario}: " in done.stdout


def test_the_transport_carries_everything_that_needs_no_session(engine, monkeypatch):
    """The same transport and guard, with the tools, resources and prompts that the suite looks for."""
    from askaudio.server import app
    from mcp_fixtures import add_fixtures

    make = app.make_mcp
    monkeypatch.setattr(app, "make_mcp", lambda *arguments: add_fixtures(make(*arguments)))
    expected = EXPECTED_FAILURES.with_name("mcp_conformance_fixtures.yaml")
    with live_server(engine, mcp=True, rate_per_s=0) as address:
        done = run("server", "--url", f"{address}v1/mcp", "--expected-failures", str(expected))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
