"""Speaking to a gateway over HTTPS: what an answer, or none, says about the message."""

import json
from typing import Any

import requests

from yaoshi.messaging.providers.courier import ANSWER_SECONDS, CONNECT_SECONDS, Unreached, Unsure

_MOST_NBYTES = 64 * 1024


def post(url: str, *, headers: dict[str, str], body: bytes, auth: tuple[str, str] | None = None) -> tuple[int, Any]:
    """Return the status and the JSON of the answer to one POST; None for an answer that is not JSON."""
    return ask("POST", url, headers=headers, body=body, auth=auth)


def ask(
    method: str, url: str, *, headers: dict[str, str], body: bytes = b"", auth: tuple[str, str] | None = None
) -> tuple[int, Any]:
    """Return the status and the JSON of the answer to one request; None for an answer that is not JSON.

    Redirects are not followed: they would carry the code to another host. Raises Unreached when the gateway surely has
    not worked on it (no connection, 429, 503), Unsure when it may have (no answer in time, half of one, 5xx).
    """
    try:
        answer = requests.request(
            method,
            url,
            data=body,
            headers=headers,
            auth=auth or _as_given,
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            allow_redirects=False,
            stream=True,
        )
        with answer:
            read = answer.raw.read(_MOST_NBYTES, decode_content=True)
    except (requests.ConnectTimeout, requests.exceptions.SSLError) as error:
        raise Unreached(type(error).__name__) from error
    except requests.ConnectionError as error:
        # A refused connection is told apart from one that broke after the request had left.
        never = "NewConnectionError" in repr(error) or "NameResolution" in repr(error)
        raise (Unreached if never else Unsure)(type(error).__name__) from error
    except (requests.RequestException, OSError) as error:
        raise Unsure(type(error).__name__) from error
    except Exception as error:  # what the pool below requests raises while a body is read
        raise Unsure(type(error).__name__) from error
    if answer.status_code in (429, 503):
        raise Unreached(f"HTTP {answer.status_code}")
    if answer.status_code >= 500:
        raise Unsure(f"HTTP {answer.status_code}")
    try:
        return answer.status_code, json.loads(read)
    except ValueError:
        return answer.status_code, None


def member(found: Any, *path: str | int) -> Any:
    """Return what lies at `path` of an answer; None where the answer is of another shape."""
    for step in path:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request as it is: without this, a netrc file would replace the signature."""
    return request
