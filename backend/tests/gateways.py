"""Real servers that messages go to: SMTP, and the gateways of SMS vendors, which check what they are sent."""

import base64
import contextlib
import email
import hmac
import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from servers import free_port

KEY, SECRET = "gateway-id", "gateway-secret-of-32-bytes-or-more"


@dataclass
class Mail:
    to: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=default)  # type: ignore[return-value]

    @property
    def text(self) -> str:
        return str(self.message.get_body(("plain",)).get_content())  # type: ignore[union-attr]

    @property
    def html(self) -> str:
        return str(self.message.get_body(("html",)).get_content())  # type: ignore[union-attr]

    @property
    def code(self) -> str:
        return re.search(r"^\d{6}(?=\s)", self.text, re.MULTILINE)[0]  # type: ignore[index]


class Mailbox:
    """An SMTP server. `judge` answers RCPT (None takes it) and may sleep; `after` runs when a mail is taken."""

    def __init__(self, *, user: str = "", context: ssl.SSLContext | None = None) -> None:
        self.mails: list[Mail] = []
        self.connections = 0
        self.judge: Callable[[str], str | None] = lambda _to: None
        self.after: Callable[[], str] = lambda: "250 taken"
        outer = self

        class Handler:
            async def handle_EHLO(
                self, _s: Any, session: Any, _e: Any, hostname: str, responses: list[str]
            ) -> list[str]:
                outer.connections += 1
                session.host_name = hostname
                return responses

            async def handle_RCPT(self, _s: Any, _session: Any, envelope: Envelope, address: str, _o: Any) -> str:
                refused = outer.judge(address)
                if refused:
                    return refused
                envelope.rcpt_tos.append(address)
                return "250 OK"

            async def handle_DATA(self, _s: Any, _session: Any, envelope: Envelope) -> str:
                outer.mails.append(Mail(list(envelope.rcpt_tos), envelope.content or b""))  # type: ignore[arg-type]
                return outer.after()

        def authenticate(_s: Any, _session: Any, _e: Any, _m: str, data: LoginPassword) -> AuthResult:
            right = (data.login, data.password) == (user.encode(), SECRET.encode())
            return AuthResult(success=right, handled=False)

        more: dict[str, Any] = {"tls_context": context, "require_starttls": context is not None}
        if user:
            more |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": context is not None}
        self.port = free_port()
        self._make = lambda: Controller(Handler(), "127.0.0.1", self.port, **more)
        self.open()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def __enter__(self) -> "Mailbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        self._server = self._make()
        self._server.start()

    def close(self) -> None:
        self._server.stop()


class Spoken(BaseHTTPRequestHandler):
    gateway: "Gateway"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        how = (self.gateway.script or ["well"])[0]
        del self.gateway.script[:1]
        if how in BROKEN:
            return self.answer(BROKEN[how], {})
        headers = {k.lower(): v for k, v in self.headers.items()}
        signed = {"authorization", "webhook-id"} & set(headers)
        told = CHECKS[self.gateway.vendor](self.path, headers, body) if signed else None
        if told is None:
            self.gateway.refused.append(self.path)
            return self.answer(*REFUSALS[self.gateway.vendor]["signature"])
        if how in ("forbidden", "error"):
            return self.answer(*REFUSALS[self.gateway.vendor]["right" if how == "forbidden" else "number"])
        if not told:  # a check, which sends nothing
            return self.answer(200, {"status": "active"})
        if "asked" in told:
            self.gateway.asked.append(str(told["asked"]))
            return self.answer(200, RECEIPTS[self.gateway.vendor](self.gateway.receipt))
        self.gateway.taken.append(told)
        if how == "well":
            return self.answer(*WELL[self.gateway.vendor])
        if how == "drip":
            self.drip(b"HTTP/1.1 200 OK\r\n" + b"x" * 100)
        self.close_connection = True

    do_GET = do_POST

    def drip(self, raw: bytes) -> None:
        with contextlib.suppress(OSError):
            for byte in raw:
                self.wfile.write(bytes([byte]))
                time.sleep(0.1)

    def answer(self, status: int, body: Any) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Gateway:
    """An HTTP gateway that speaks as `vendor` does. `script` holds how the next answers go; then all is well.

    `receipt` is what it says when it is asked what became of a message. "down" 503 · "error" the vendor's own refusal of this number · "forbidden" of this key · "broken" 500 · "drop" taken, then the connection
    ends · "drip" one byte a while.
    """

    vendor: str
    script: list[str] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    receipt: bool | None = None

    def __post_init__(self) -> None:
        spoken = type("Spoken", (Spoken,), {"gateway": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), spoken)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def settings(self) -> dict[str, Any]:
        """Return the settings of an installation that sends by this gateway."""
        kinds = ("reset_code", "contact_code", "sign_in_code")
        approved = [f"{kind}.zh-CN=SMS_1(code,min=minutes) {kind}.en=SMS_2(code,min=minutes)" for kind in kinds]
        templates = " ".join(approved)
        own = {
            "aliyun": {"access_key_id": KEY, "access_key_secret": SECRET, "sign_name": "药师", "templates": templates},
            "tencent": {
                "secret_id": KEY, "secret_key": SECRET, "app_id": "1400", "sign_name": "药师", "templates": templates,
            },
            "twilio": {"account_sid": KEY, "auth_token": SECRET, "from": "+15005550006"},
            "webhook": {"url": self.url + "/sms", "secret": SECRET},
        }[self.vendor]  # fmt: skip
        prefix = "sms_webhook" if self.vendor == "webhook" else self.vendor
        named = {f"{prefix}_{name}": value for name, value in own.items()}
        if self.vendor != "webhook":
            named[f"{prefix}_endpoint"] = self.url
        return {"sms_providers": self.vendor, "sms_daily_max": 1000, **named}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def check_aliyun(path: str, headers: dict[str, str], _body: bytes) -> dict[str, Any] | None:
    """Sign again by the vendor's description, from what came over the wire."""
    query = dict(parse_qsl(path.partition("?")[2], keep_blank_values=True))
    algorithm, _, rest = headers["authorization"].partition(" ")
    given = dict(part.partition("=")[::2] for part in rest.split(","))
    names = given["SignedHeaders"].split(";")
    canonical_query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted(query.items()))
    canonical = "\n".join(
        [
            "POST",
            "/",
            canonical_query,
            *[f"{n}:{headers[n]}" for n in names],
            "",
            ";".join(names),
            sha256(b"").hexdigest(),
        ]
    )
    signed = f"{algorithm}\n{sha256(canonical.encode()).hexdigest()}"
    right = hmac.new(SECRET.encode(), signed.encode(), sha256).hexdigest()
    if (algorithm, given["Credential"], given["Signature"]) != ("ACS3-HMAC-SHA256", KEY, right):
        return None
    if not {"host", "x-acs-action", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"} <= set(names):
        return None
    if headers["x-acs-action"] == "QuerySendDetails":
        return {"asked": f"{query.get('BizId', 'nobody')} {query['SendDate']}"}
    values = json.loads(query["TemplateParam"])
    return {"to": "+86" + query["PhoneNumbers"], "key": query["OutId"], "template": query["TemplateCode"], "code": values["code"], "sign": query["SignName"], "min": values["min"]}  # fmt: skip


def check_tencent(_path: str, headers: dict[str, str], body: bytes) -> dict[str, Any] | None:
    algorithm, _, rest = headers["authorization"].partition(" ")
    given = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    names = given["SignedHeaders"].split(";")
    listed = "".join(f"{name}:{headers[name].lower() if name == 'x-tc-action' else headers[name]}\n" for name in names)
    canonical = f"POST\n/\n\n{listed}\n{';'.join(names)}\n{sha256(body).hexdigest()}"
    at = int(headers["x-tc-timestamp"])
    key, date, service, request = given["Credential"].split("/")
    if date != time.strftime("%Y-%m-%d", time.gmtime(at)):
        return None
    signed = f"{algorithm}\n{at}\n{date}/sms/tc3_request\n{sha256(canonical.encode()).hexdigest()}"
    derived = f"TC3{SECRET}".encode()
    for part in (date, service, request):
        derived = hmac.new(derived, part.encode(), sha256).digest()
    if (key, given["Signature"]) != (KEY, hmac.new(derived, signed.encode(), sha256).hexdigest()):
        return None
    told = json.loads(body)
    if headers["x-tc-action"] == "PullSmsSendStatusByPhoneNumber":
        return {"asked": told["PhoneNumber"]}
    return {"to": told["PhoneNumberSet"][0], "key": told["SessionContext"], "template": told["TemplateId"], "code": told["TemplateParamSet"][0], "sign": told["SignName"], "min": told["TemplateParamSet"][1]}  # fmt: skip


def check_twilio(path: str, headers: dict[str, str], body: bytes) -> dict[str, Any] | None:
    if headers["authorization"] != "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode():
        return None
    if not body:
        return {"asked": path.rpartition("/")[2]} if "/Messages/" in path else {}
    told = dict(parse_qsl(body.decode()))
    assert path == f"/2010-04-01/Accounts/{KEY}/Messages.json" and told["From"] == "+15005550006"
    code = re.match(r"\d{6}", told["Body"])
    return {"to": told["To"], "text": told["Body"]} | ({"code": code[0]} if code else {})


def check_webhook(_path: str, headers: dict[str, str], body: bytes) -> dict[str, Any] | None:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    right = "v1," + base64.b64encode(hmac.new(SECRET.encode(), signed, sha256).digest()).decode()
    if headers["webhook-signature"] != right:
        return None
    told = json.loads(body)
    assert told["id"] == headers["webhook-id"]
    if told["kind"] == "check":
        return {}
    return {"to": told["to"], "key": told["id"], "text": told["text"], "kind": told["kind"], **told["values"]}


BROKEN = {"down": 503, "broken": 500}
CHECKS = {"aliyun": check_aliyun, "tencent": check_tencent, "twilio": check_twilio, "webhook": check_webhook}
WELL: dict[str, tuple[int, Any]] = {
    "aliyun": (200, {"Code": "OK", "Message": "OK", "BizId": "9"}),
    "tencent": (200, {"Response": {"SendStatusSet": [{"Code": "Ok", "SerialNo": "9"}], "RequestId": "9"}}),
    "twilio": (201, {"sid": "SM9"}),
    "webhook": (200, {}),
}
RECEIPTS: dict[str, Callable[[bool | None], Any]] = {
    "aliyun": lambda said: {"Code": "OK", "SmsSendDetailDTOs": {"SmsSendDetailDTO": [{"SendStatus": {None: 1, False: 2, True: 3}[said]}]}},
    "tencent": lambda said: {"Response": {"PullSmsSendStatusSet": [] if said is None else [{"SerialNo": "8", "ReportStatus": "FAIL"}, {"SerialNo": "9", "ReportStatus": "SUCCESS" if said else "FAIL"}]}},
    "twilio": lambda said: {"sid": "SM9", "status": {None: "sent", False: "undelivered", True: "delivered"}[said]},
}  # fmt: skip
REFUSALS: dict[str, dict[str, tuple[int, Any]]] = {
    "aliyun": {
        "signature": (400, {"Code": "SignatureDoesNotMatch", "Message": "no"}),
        "number": (200, {"Code": "isv.MOBILE_NUMBER_ILLEGAL", "Message": "no"}),
        "right": (403, {"Code": "Forbidden.RAM", "Message": "no"}),
    },
    "tencent": {
        "signature": (
            200,
            {"Response": {"Error": {"Code": "AuthFailure.SignatureFailure", "Message": "no"}, "RequestId": "9"}},
        ),
        "number": (200, {"Response": {"SendStatusSet": [{"Code": "InvalidParameterValue.IncorrectPhoneNumber"}]}}),
        "right": (200, {"Response": {"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}}),
    },
    "twilio": {"signature": (401, {"code": 20003}), "number": (400, {"code": 21211})},
    "webhook": {"signature": (401, {}), "number": (422, {})},
}
