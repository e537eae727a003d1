"""The description of the API is right: generated requests get declared statuses, content types and schemas only."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from askaudio.search.engine import SearchEngine
from askaudio.server.app import create_app
from askaudio.server.settings import ServerSettings

schemathesis = pytest.importorskip("schemathesis")
positive_data_acceptance = pytest.importorskip("schemathesis.specs.openapi.checks").positive_data_acceptance


@pytest.fixture
def own_engine(collection, tmp_path):
    """The engine over a copy of the collection: generated requests keep favourites and projects."""
    shutil.copytree(collection, tmp_path / "toy")
    with SearchEngine.open(tmp_path / "toy") as engine:
        yield engine


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_generated_requests_are_answered_as_described(own_engine, mode):
    """Requests that follow the description, and requests that break it in one place, for each operation."""
    engine = own_engine
    app = create_app(engine, ServerSettings(rate_per_s=0, allowed_hosts=("testserver",)))
    described = schemathesis.openapi.from_asgi("/v1/openapi.json", app)
    n_operations, clip_id = 0, engine.clips(0, 1)[0].clip_id
    for found in described.get_all_operations():
        operation = found.ok()
        n_operations += 1

        @settings(
            max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode]), known=st.booleans())
        def check(case, known):
            if known and "clip_id" in (case.path_parameters or {}):  # a made-up id finds nothing
                case.path_parameters["clip_id"] = clip_id
            case.call_and_validate(excluded_checks=[positive_data_acceptance])  # no schema describes a filter

        try:
            check()
        except Unsatisfiable:  # an operation without parameters cannot be broken
            assert mode == "NEGATIVE"
    assert n_operations == sum(map(len, app.openapi()["paths"].values())) > 40


def test_every_error_is_declared_as_a_problem_document(client):
    document = client.get("/v1/openapi.json").json()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            errors = {int(code): answer for code, answer in operation["responses"].items() if int(code) >= 400}
            assert {400, 413, 421, 500, 503} <= set(errors)
            assert (401 in errors) == (429 in errors) == (path != "/v1/health")
            for answer in errors.values():
                assert list(answer["content"]) == ["application/problem+json"]
