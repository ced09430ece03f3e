"""The API document tells the truth: generated calls, hostile ones too, get documented answers and never a 5xx."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from conftest import CHEAP, SECRET
from yaoshi import bootstrap
from yaoshi.app import create_app
from yaoshi.migrations.upgrade import upgrade
from yaoshi.settings import LimitSettings, Mode, Settings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("document")
    url = f"sqlite:///{folder / 'yaoshi.db'}"
    upgrade(url)
    above: dict[str, Any] = {name: "1000000/hour" for name in LimitSettings.model_fields if name.startswith("limit_")}
    house = bootstrap.build(
        Settings(mode=Mode.PRODUCTION, secret_key=SECRET, jwt_secret_key="", database_url=url, **CHEAP, **above)
    )
    yield schemathesis.openapi.from_wsgi("/openapi.json", create_app(house))
    house.close()


def test_every_generated_call_gets_a_documented_answer(document: Any) -> None:
    seen = set()
    for found in document.get_all_operations():
        operation = found.ok()
        seen.add((operation.method.upper(), operation.path))

        @settings(
            max_examples=60,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, headers={"Accept-Language": "en"})

        check()
    assert seen >= {
        ("POST", f"/api/auth/{door}") for door in ("register", "login", "reset-password", "change-password")
    }
