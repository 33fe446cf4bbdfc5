"""What a machine thinks of from the OpenAPI document alone: no answer but those that are documented."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

schemathesis = pytest.importorskip("schemathesis")
pytest.importorskip("fastapi")

OPERATIONS = ("by_text", "by_picture", "by_change", "by_upload", "tags", "tags_of_upload", "by_word", "similarity",
              "sample", "picture", "image", "info", "health")
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


@pytest.fixture(scope="module")
def operations(drawn):
    """{operation id: operation} of the document that the app serves."""
    from devise import web

    schema = schemathesis.openapi.from_asgi("/openapi.json", web.app(drawn, hosts=("localhost", "testserver")))
    found = [result.ok() for result in schema.get_all_operations()]
    return {operation.definition.raw["operationId"]: operation for operation in found}


def test_each_operation_is_asked_below(operations):
    assert set(operations) == set(OPERATIONS)


@pytest.mark.parametrize("name, mode", [(name, mode) for name in OPERATIONS for mode in ("POSITIVE", "NEGATIVE")
                                        if mode == "POSITIVE" or name not in ("info", "health")])  # nothing to be wrong
def test_it_keeps_its_word_whatever_is_asked(operations, name, mode):
    checks = schemathesis.checks.CHECKS.get_by_names(CHECKS)
    statuses = set()

    @given(case=operations[name].as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
    @settings(max_examples=12, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    def ask(case):
        answer = case.call()
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=checks)

    ask()
    assert statuses and statuses <= {200, 404, 422}


@pytest.mark.parametrize("name, query", [
    ("by_text", {"text": "cat"}), ("by_change", {"id": 1, "plus": ["cat", "dog"]}),
    ("by_word", {"word": "cat"}), ("tags", {"id": 1}), ("by_picture", {"id": 1}),
    ("similarity", {"first": 1, "second": 2})])
def test_a_good_answer_has_the_documented_form(operations, name, query):
    case = operations[name].Case(query=query)
    answer = case.call()
    assert answer.status_code == 200
    case.validate_response(answer, checks=schemathesis.checks.CHECKS.get_by_names(CHECKS))
