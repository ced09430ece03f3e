"""The laws of the house that no linter knows. A law that is not a test is a wish."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from servers import BACKEND
from yaoshi.app import contracts_of
from yaoshi.contacts.routes import owner
from yaoshi.core.phrases import FAULTS, FIELDS
from yaoshi.messaging.routes import gateway
from yaoshi.web.endpoint import Routes, public, signed_in
from yaoshi.web.openapi import describe
from yaoshi.web.problems import catalogue

SOURCES = sorted((BACKEND / "yaoshi").rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
# Names that may be longer, with the reason; the list may only shrink.
LONG_FUNCTIONS: dict[str, str] = {}
FROZEN_CODES = {
    "bad_request", "not_found", "method_not_allowed", "length_required", "body_too_large", "address_too_long",
    "unsupported_media_type", "headers_too_large", "internal_error", "invalid_request", "overloaded", "storage_unavailable",
    "development_only", "too_many_attempts", "unauthenticated", "identifier_taken", "code_rejected", "wrong_credentials",
    "not_ready", "session_ended", "csrf", "no_such_session", "not_offered", "invalid_client", "contact_unverified",
    "link_rejected", "bad_signature",
}  # fmt: skip


def test_every_route_says_who_may_call_and_what_it_is_for() -> None:
    for development in (True, False):
        for contract in contracts_of(development=development):
            assert contract.guard in (public, signed_in, owner, gateway) and contract.view.__doc__, contract.path
    with pytest.raises(TypeError, match="guard"):
        Routes("/x").door("GET", "/y", gives=None)  # type: ignore[call-arg,arg-type]


def test_these_doors_ask_for_a_session_and_no_others() -> None:
    guarded = {contract.path for contract in contracts_of(development=False) if contract.guard is signed_in}
    own = {"me", "change-password", "logout-all", "sessions", "sessions/<id>"}
    assert guarded == {f"/api/auth/{path}" for path in own}
    assert [c.path for c in contracts_of(development=False) if c.guard is gateway] == ["/api/messages/receipts"]
    owned = {contract.path for contract in contracts_of(development=False) if contract.guard is owner}
    assert owned == {f"/api/auth/contacts/<channel>{path}" for path in ("", "/code", "/verify")}


def test_problem_codes_are_for_ever() -> None:
    assert set(catalogue()) == FROZEN_CODES


def test_every_sentence_exists_in_both_languages() -> None:
    sentences = [*FIELDS.values(), *FAULTS.values(), *(phrase for _, phrase in catalogue().values())]
    for phrase in sentences:
        assert phrase.en.isascii() and re.search("[一-鿿]", phrase.zh), phrase
        assert set(re.findall(r"{(\w+)}", phrase.en)) == set(re.findall(r"{(\w+)}", phrase.zh)), phrase


def test_the_api_document_is_valid() -> None:
    for development in (True, False):
        validate(describe(contracts_of(development=development), "0", "http://localhost"))


def test_files_and_functions_stay_small() -> None:
    for path, tree in TREES.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        named = path.relative_to(BACKEND)
        assert lines <= 300, named
        assert lines >= 25 or path.name == "__init__.py", f"{named}: begin it inside its neighbour"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.body[0].lineno + 1
                assert length <= 60 or node.name in LONG_FUNCTIONS, (named, node.name, length)


def test_the_house_has_few_rooms_and_lines() -> None:
    rooms = {path.parent for path in SOURCES} - {BACKEND / "yaoshi", BACKEND / "yaoshi/migrations/versions"}
    assert len(rooms) <= 19  # seventeen rooms, the providers of messages and the migrations
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES) <= 12500


def test_tests_stay_under_one_and_a_half_lines_a_source_line() -> None:
    written = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (BACKEND / "tests").rglob("*.py"))
    read = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES)
    assert written <= 1.5 * read


def test_public_things_are_documented() -> None:
    for path, tree in TREES.items():
        assert ast.get_docstring(tree) or not path.read_text(), path
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                inner = any(
                    node in getattr(outer, "body", []) for outer in ast.walk(tree) if isinstance(outer, ast.FunctionDef)
                )
                assert inner or ast.get_docstring(node), (path.name, node.name)


def test_nothing_runs_a_shell_or_builds_sql_from_text() -> None:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "text":
                assert isinstance(node.args[0], ast.Constant), path
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
                assert not names & {"subprocess", "pickle", "marshal"}, path


def test_commits_happen_in_one_place() -> None:
    for path in SOURCES:
        assert path.name == "db.py" or ".commit()" not in path.read_text(encoding="utf-8"), path


def test_importing_run_has_no_side_effect(tmp_path: Path) -> None:
    program = "import sys, run; print(sorted(name for name in sys.modules if name.startswith('yaoshi')))"
    done = subprocess.run([sys.executable, "-c", program], cwd=BACKEND, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]" and not done.stderr


def test_the_list_of_common_passwords_is_what_its_script_makes() -> None:
    assert subprocess.run([sys.executable, "scripts/commonest.py", "--check"], cwd=BACKEND, timeout=60).returncode == 0


def test_what_is_generated_is_not_stale() -> None:
    assert subprocess.run([sys.executable, "scripts/reference.py", "--check"], cwd=BACKEND, timeout=60).returncode == 0
