"""Which providers carry messages, and what they may cost."""

import re
from email.policy import SMTP
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import phonenumbers
from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import NoDecode

from yaoshi.core.config import Group, SecretList, parts_of
from yaoshi.messaging.providers.templates import Templates
from yaoshi.messaging.signatures import signing_key

_HOSTS_HERE = ("localhost", "127.0.0.1", "::1")
_MAIL_SERVER = "smtps://user:password@mail.example.com:465"
_GATEWAY = "https://gateway.example.com"
_TWILIO_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|MG[0-9a-fA-F]{32}")


def _templates(value: object) -> object:
    return Templates.read(value) if isinstance(value, str) else value


def _listed(value: object) -> object:
    return tuple(filter(None, re.split(r"[\s,]+", value))) if isinstance(value, str) else value


def _endpoint(value: str) -> str:
    """Return an address without its final slash; only a gateway on this machine may be spoken to in clear."""
    if value and parts_of(value, _GATEWAY).scheme != "https" and not (value.startswith("http://") and is_here(value)):
        raise ValueError(f"must be like {_GATEWAY}")
    return value.rstrip("/")


Approved = Annotated[Templates, NoDecode, BeforeValidator(_templates)]
Provider = Literal["aliyun", "tencent", "twilio", "webhook"]


def is_here(url: str) -> bool:
    """Return whether `url` leads to this machine."""
    return urlsplit(url).hostname in _HOSTS_HERE


class MessagingSettings(Group):
    """Settings of messages."""

    installation_name: str = Field("Yaoshi", min_length=1, max_length=40)
    """What people know this installation as: it stands in every message."""

    smtp_url: SecretList = Field((), repr=False, max_length=4)
    """`smtps://user:password@host:465`, or `smtp://user:password@host:587` with STARTTLS; up to four, separated by
    blanks, are tried in this order: more that hang would outlast a worker's claim. Only a server on this machine may do
    without TLS. Without any no mail is sent."""

    mail_from: str = Field("", max_length=200)
    """The sender of every mail, like `Yaoshi <no-reply@example.com>`."""

    sms_providers: Annotated[tuple[Provider, ...], NoDecode, BeforeValidator(_listed)] = ()
    """`aliyun`, `tencent`, `twilio`, `webhook`: one or several, tried in this order. Without any no SMS is sent."""

    sms_daily_max: int | None = Field(None, ge=1, le=1_000_000)
    """At most so many SMS a day, for the whole installation. Production sends none without it."""

    sms_price: float = Field(0, ge=0, le=100)
    """What one SMS costs, in your currency; with `sms_daily_budget`."""

    sms_daily_budget: float = Field(0, ge=0)
    """At most so much money a day for SMS, in your currency; 0 leaves the number of messages to decide alone."""

    sms_countries: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = ("86",)
    """Calling codes of the countries that SMS go to, comma-separated."""

    aliyun_access_key_id: str = ""
    """Alibaba Cloud: the id of an access key that may do `dysms:SendSms` and `dysms:QuerySendDetails` and no more."""

    aliyun_access_key_secret: str = Field("", repr=False)
    """Alibaba Cloud: the secret of that key."""

    aliyun_sign_name: str = ""
    """Alibaba Cloud: the approved sign name, without brackets."""

    aliyun_templates: Approved = Templates()
    """Alibaba Cloud: approved templates, `message.language=id(parameter,…)` separated by blanks; a parameter that is
    called otherwise there is written `theirs=ours`: `reset_code.zh-CN=SMS_1001(code,min=minutes)`."""

    aliyun_endpoint: str = "https://dysmsapi.aliyuncs.com"
    """Alibaba Cloud: the address of the region's service."""

    tencent_secret_id: str = ""
    """Tencent Cloud: the id of a key that may do `sms:SendSms` and `sms:PullSmsSendStatusByPhoneNumber` and no more."""

    tencent_secret_key: str = Field("", repr=False)
    """Tencent Cloud: the secret of that key."""

    tencent_app_id: str = ""
    """Tencent Cloud: the SdkAppId of the SMS application."""

    tencent_sign_name: str = ""
    """Tencent Cloud: the approved signature, without brackets."""

    tencent_templates: Approved = Templates()
    """Tencent Cloud: approved templates like Alibaba's; parameters are given in the order written here."""

    tencent_region: str = "ap-guangzhou"
    """Tencent Cloud: the region."""

    tencent_endpoint: str = "https://sms.tencentcloudapi.com"
    """Tencent Cloud: the address of the service."""

    twilio_account_sid: str = ""
    """Twilio: the account."""

    twilio_auth_token: str = Field("", repr=False)
    """Twilio: the account's token."""

    twilio_from: str = ""
    """Twilio: the number that sends, or a messaging service (`MG…`)."""

    twilio_endpoint: str = "https://api.twilio.com"
    """Twilio: the address of the region's service."""

    sms_webhook_url: str = ""
    """Webhook: the address that is posted each SMS as JSON."""

    sms_webhook_secret: str = Field("", repr=False)
    """Webhook: what signs each post, 32 bytes or more; as Standard Webhooks has it, `whsec_` and base64."""

    templates_dir: Path | None = None
    """A folder of templates of your own; those it does not hold are ours."""

    embedded_worker: bool = True
    """Whether the server itself sends what waits. With `yaoshi worker` processes beside it: false."""

    @field_validator("aliyun_endpoint", "tencent_endpoint", "twilio_endpoint", "sms_webhook_url")
    @classmethod
    def _endpoints(cls, value: str) -> str:
        return _endpoint(value)

    @field_validator("smtp_url")
    @classmethod
    def _servers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parts = parts_of(url, _MAIL_SERVER)
            if parts.scheme not in ("smtp", "smtps") or parts.path.strip("/"):
                raise ValueError(f"must be like {_MAIL_SERVER}")
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str) -> str:
        header = SMTP.header_factory("From", value)
        addresses = [one.addr_spec for one in getattr(header, "addresses", ()) if one.domain]
        if value and (header.defects or len(addresses) != 1 or not addresses[0].isascii()):
            raise ValueError("must be one address like Yaoshi <no-reply@example.com>, itself in ASCII")
        return value

    @field_validator("sms_countries")
    @classmethod
    def _calling_codes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}
        if not known.issuperset(value):
            raise ValueError("must be calling codes in digits alone, like 86,852")
        return value

    @field_validator("twilio_from")
    @classmethod
    def _twilio_sender(cls, value: str) -> str:
        if value and not _TWILIO_SENDER.fullmatch(value):
            raise ValueError(
                "must be a number like +15005550006, or a messaging service (MG and 32 hexadecimal digits)"
            )
        return value

    @field_validator("templates_dir")
    @classmethod
    def _folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("is not a folder")
        return value

    @field_validator("sms_webhook_secret")
    @classmethod
    def _keys(cls, value: str) -> str:
        try:
            signing_key(value)
        except ValueError:
            raise ValueError("must be base64 after whsec_") from None
        return value

    def lacks(self) -> list[str]:
        """Return what the chosen providers still need, as names in the environment."""
        needed: dict[str, tuple[str, ...]] = {
            "aliyun": ("aliyun_access_key_id", "aliyun_access_key_secret", "aliyun_sign_name", "aliyun_templates"),
            "tencent": (
                "tencent_secret_id",
                "tencent_secret_key",
                "tencent_app_id",
                "tencent_sign_name",
                "tencent_templates",
            ),
            "twilio": ("twilio_account_sid", "twilio_auth_token", "twilio_from"),
            "webhook": ("sms_webhook_url", "sms_webhook_secret"),
        }
        names = [name for provider in self.sms_providers for name in needed[provider]]
        names += ["mail_from"] if self.smtp_url else []
        names += ["sms_daily_max", "sms_countries"] if self.sms_providers else []
        return [f"YAOSHI_{name.upper()}" for name in names if not getattr(self, name)]

    def sms_most(self) -> int:
        """Return how many SMS a day the two budgets allow."""
        most = self.sms_daily_max or 0
        if self.sms_daily_budget and self.sms_price:
            return min(most, int(self.sms_daily_budget / self.sms_price))
        return most
