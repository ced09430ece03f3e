"""SMS by Tencent Cloud (2021-01-11), signed with TC3-HMAC-SHA256.

Source: https://cloud.tencent.com/document/api/382/52072
"""

import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from yaoshi.core.types import Clock
from yaoshi.messaging.letters import Letter
from yaoshi.messaging.providers.courier import Courier, KeyRefused, Refused, Unreached
from yaoshi.messaging.providers.http import member, post
from yaoshi.messaging.providers.templates import Templates

ENDPOINT = "https://sms.tencentcloudapi.com"
_JSON = "application/json; charset=utf-8"
_LOOK_BACK = timedelta(minutes=15)
_NEVER = (
    "FailedOperation.PhoneNumberInBlacklist",
    "InvalidParameterValue.IncorrectPhoneNumber",
    "UnsupportedOperation.UnsuportedRegion",  # as they spell it
)
_FORBIDDEN = ("UnauthorizedOperation", "AuthFailure.UnauthorizedOperation")
_BAD_KEY = (*_FORBIDDEN, "AuthFailure")
_ANYBODY = "+8613800138000"


@dataclass(frozen=True, slots=True)
class Application:
    """What Tencent calls an SMS application, and the region that serves it."""

    id: str
    sign_name: str
    region: str


class Tencent(Courier):
    """Sends approved templates with parameters in their order."""

    name = "tencent"

    def __init__(
        self,
        clock: Clock,
        key: tuple[str, str],
        application: Application,
        templates: Templates,
        endpoint: str = ENDPOINT,
    ) -> None:
        self._clock, self._key, self._application = clock, key, application
        self._templates, self._endpoint = templates, endpoint

    def carries(self, kind: str) -> bool:
        """Return whether there is an approved template for this kind of message."""
        return self._templates.has(kind)

    def send(self, letter: Letter) -> str:
        """Hand over `letter`. Raises Unreached, Unsure, Refused."""
        template = self._templates.of(letter)
        told = {
            "PhoneNumberSet": [letter.to],
            "SmsSdkAppId": self._application.id,
            "SignName": self._application.sign_name,
            "TemplateId": template.id,
            "TemplateParamSet": [value for _, value in template.values(letter)],
            "SessionContext": letter.key,
        }
        status, answer = self._call("SendSms", told)
        found = member(answer, "Response", "SendStatusSet", 0)
        code = member(answer, "Response", "Error", "Code") or member(found, "Code")
        if code == "Ok":
            return str(member(found, "SerialNo") or "")
        raise (Refused if code in _NEVER else Unreached)(f"HTTP {status} {code}"[:80])

    def greet(self) -> None:
        """Ask for receipts of a number that nothing is sent to: the key must be right. Raises Unreached, Unsure."""
        status, answer = self._receipts(_ANYBODY)
        code = str(member(answer, "Response", "Error", "Code") or "")
        if code or status != 200 or member(answer, "Response") is None:
            raise (KeyRefused if code.startswith(_BAD_KEY) else Unreached)(f"HTTP {status} {code}"[:80])

    def delivered(self, receipt: str, letter: Letter) -> bool | None:
        """Ask for the receipt. Raises Unreached, Unsure, Refused."""
        _, answer = self._receipts(letter.to)
        code = str(member(answer, "Response", "Error", "Code"))
        if code.startswith(_FORBIDDEN):
            raise Refused(code[:80])
        known = member(answer, "Response", "PullSmsSendStatusSet") or []
        statuses = [member(one, "ReportStatus") for one in known if member(one, "SerialNo") == receipt]
        return {"SUCCESS": True, "FAIL": False}.get(statuses[0]) if statuses else None

    def _receipts(self, number: str) -> tuple[int, Any]:
        since = int((self._clock.now() - _LOOK_BACK).timestamp())
        asked = {"PhoneNumber": number, "SmsSdkAppId": self._application.id, "BeginTime": since}
        return self._call("PullSmsSendStatusByPhoneNumber", asked | {"Offset": 0, "Limit": 100})

    def _call(self, action: str, told: dict[str, Any]) -> tuple[int, Any]:
        body = json.dumps(told).encode()
        now = self._clock.now()
        host = urlsplit(self._endpoint).netloc
        headers = {
            "Host": host,
            "Content-Type": _JSON,
            "X-TC-Action": action,
            "X-TC-Version": "2021-01-11",
            "X-TC-Timestamp": str(int(now.timestamp())),
            "X-TC-Region": self._application.region,
            "Authorization": authorization(self._key, host, action, body, now),
        }
        return post(self._endpoint + "/", headers=headers, body=body)


def authorization(key: tuple[str, str], host: str, action: str, body: bytes, now: datetime) -> str:
    """Return the header that signs `action` with `body` at `now`; `key` is (id, secret)."""
    names = "content-type;host;x-tc-action"
    signed_headers = f"content-type:{_JSON}\nhost:{host}\nx-tc-action:{action.lower()}\n"
    canonical = f"POST\n/\n\n{signed_headers}\n{names}\n{sha256(body).hexdigest()}"
    date = now.strftime("%Y-%m-%d")
    scope = f"{date}/sms/tc3_request"
    signed = f"TC3-HMAC-SHA256\n{int(now.timestamp())}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    derived = f"TC3{key[1]}".encode()
    for part in (date, "sms", "tc3_request"):
        derived = hmac.digest(derived, part.encode(), "sha256")
    signature = hmac.digest(derived, signed.encode(), "sha256").hex()
    return f"TC3-HMAC-SHA256 Credential={key[0]}/{scope}, SignedHeaders={names}, Signature={signature}"
