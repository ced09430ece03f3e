"""SMS by Alibaba Cloud (Dysmsapi 2017-05-25), signed with ACS3-HMAC-SHA256.

Source: https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
"""

import hmac
import json
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

from yaoshi.core import random
from yaoshi.core.types import Clock
from yaoshi.messaging.letters import Letter
from yaoshi.messaging.providers.courier import Courier, KeyRefused, Refused, Unreached
from yaoshi.messaging.providers.http import member, post
from yaoshi.messaging.providers.templates import Templates

ENDPOINT = "https://dysmsapi.aliyuncs.com"
_NEVER = ("isv.MOBILE_NUMBER_ILLEGAL", "isv.MOBILE_COUNT_OVER_LIMIT", "isv.BLACK_KEY_CONTROL_LIMIT")
_FORBIDDEN = ("Forbidden", "NoPermission")
_BAD_KEY = (
    *_FORBIDDEN,
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "isp.RAM_PERMISSION_DENY",
)
_ANYBODY = "13800138000"
_FAILED, _DELIVERED = 2, 3
_BEIJING = timezone(timedelta(hours=8))
_EMPTY = sha256(b"").hexdigest()


class Aliyun(Courier):
    """Sends approved templates with named parameters."""

    name = "aliyun"

    def __init__(
        self, clock: Clock, key: tuple[str, str], sign_name: str, templates: Templates, endpoint: str = ENDPOINT
    ) -> None:
        self._clock, self._key, self._sign_name = clock, key, sign_name
        self._templates, self._endpoint = templates, endpoint

    def carries(self, kind: str) -> bool:
        """Return whether there is an approved template for this kind of message."""
        return self._templates.has(kind)

    def send(self, letter: Letter) -> str:
        """Hand over `letter`. Raises Unreached, Unsure, Refused."""
        template = self._templates.of(letter)
        query = {
            "PhoneNumbers": _number(letter),
            "SignName": self._sign_name,
            "TemplateCode": template.id,
            "TemplateParam": json.dumps(dict(template.values(letter)), ensure_ascii=False),
            "OutId": letter.key,
        }
        status, answer = self._call("SendSms", query)
        code = member(answer, "Code")
        if code == "OK":
            return str(member(answer, "BizId") or "")
        # Its own words may repeat the number; the code alone is kept.
        raise (Refused if code in _NEVER else Unreached)(f"HTTP {status} {code}"[:80])

    def greet(self) -> None:
        """Ask for receipts of a number that nothing is sent to: the key must be right. Raises Unreached, Unsure."""
        query = {"PhoneNumber": _ANYBODY, "SendDate": f"{self._clock.now().astimezone(_BEIJING):%Y%m%d}"}
        status, answer = self._call("QuerySendDetails", query | {"PageSize": "1", "CurrentPage": "1"})
        code = str(member(answer, "Code"))
        if code != "OK":
            raise (KeyRefused if code.startswith(_BAD_KEY) else Unreached)(f"HTTP {status} {code}"[:80])

    def delivered(self, receipt: str, letter: Letter) -> bool | None:
        """Ask for the receipt. Raises Unreached, Unsure, Refused."""
        # It lies with the day on which it was sent: that of its promise, which its key (UUIDv7) tells, or of now.
        promised = datetime.fromtimestamp((UUID(letter.key).int >> 80) / 1000, _BEIJING)
        query = {"PhoneNumber": _number(letter), "BizId": receipt, "PageSize": "10", "CurrentPage": "1"}
        status: Any = None
        for day in sorted({f"{at.astimezone(_BEIJING):%Y%m%d}" for at in (promised, self._clock.now())}):
            _, answer = self._call("QuerySendDetails", query | {"SendDate": day})
            code = str(member(answer, "Code"))
            if code.startswith(_FORBIDDEN):
                raise Refused(code[:80])
            status = status or member(answer, "SmsSendDetailDTOs", "SmsSendDetailDTO", 0, "SendStatus")
        return {_FAILED: False, _DELIVERED: True}.get(status)

    def _call(self, action: str, query: dict[str, str]) -> tuple[int, Any]:
        text = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='~')}" for name in sorted(query))
        return post(f"{self._endpoint}/?{text}", headers=self._headers(action, text), body=b"")

    def _headers(self, action: str, query: str) -> dict[str, str]:
        headers = {
            "host": urlsplit(self._endpoint).netloc,
            "x-acs-action": action,
            "x-acs-content-sha256": _EMPTY,
            "x-acs-date": self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": random.token(16),
            "x-acs-version": "2017-05-25",
        }
        return headers | {"authorization": authorization(self._key, query, headers)}


def _number(letter: Letter) -> str:
    return letter.to.removeprefix("+86").removeprefix("+")


def authorization(key: tuple[str, str], query: str, headers: dict[str, str]) -> str:
    """Return the header that signs an empty POST to `/` with this query and these headers; `key` is (id, secret)."""
    names = ";".join(sorted(headers))
    listed = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    canonical = f"POST\n/\n{query}\n{listed}\n{names}\n{_EMPTY}"
    signed = f"ACS3-HMAC-SHA256\n{sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(key[1].encode(), signed.encode(), "sha256").hex()
    return f"ACS3-HMAC-SHA256 Credential={key[0]},SignedHeaders={names},Signature={signature}"
