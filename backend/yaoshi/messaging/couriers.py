"""From settings to providers. Each is loaded only where it is used: HTTP and TLS libraries cost every start."""

from collections.abc import Callable
from functools import partial

from yaoshi.core.types import Clock
from yaoshi.messaging.providers.courier import Console, Courier
from yaoshi.messaging.settings import MessagingSettings


def couriers_of(settings: MessagingSettings, clock: Clock, *, development: bool) -> dict[str, list[Courier]]:
    """Return the providers of each channel in their order; development shows on the screen what it can't send."""
    found: dict[str, list[Courier]] = {"email": [], "phone": []}
    if settings.smtp_url:
        from yaoshi.messaging.providers.smtp import Smtp

        found["email"] = [Smtp(url, settings.mail_from) for url in settings.smtp_url]
    makers: dict[str, Callable[[], Courier]] = {
        "aliyun": partial(_aliyun, settings, clock),
        "tencent": partial(_tencent, settings, clock),
        "twilio": partial(_twilio, settings),
        "webhook": partial(_webhook, settings, clock),
    }
    found["phone"] = [makers[name]() for name in settings.sms_providers]
    if development:
        console = Console()
        return {channel: couriers or [console] for channel, couriers in found.items()}
    return found


def _aliyun(settings: MessagingSettings, clock: Clock) -> Courier:
    from yaoshi.messaging.providers.aliyun import Aliyun

    key = (settings.aliyun_access_key_id, settings.aliyun_access_key_secret)
    return Aliyun(clock, key, settings.aliyun_sign_name, settings.aliyun_templates, settings.aliyun_endpoint)


def _tencent(settings: MessagingSettings, clock: Clock) -> Courier:
    from yaoshi.messaging.providers.tencent import Application, Tencent

    key = (settings.tencent_secret_id, settings.tencent_secret_key)
    application = Application(settings.tencent_app_id, settings.tencent_sign_name, settings.tencent_region)
    return Tencent(clock, key, application, settings.tencent_templates, settings.tencent_endpoint)


def _twilio(settings: MessagingSettings) -> Courier:
    from yaoshi.messaging.providers.twilio import Twilio

    account = (settings.twilio_account_sid, settings.twilio_auth_token)
    return Twilio(account, settings.twilio_from, settings.twilio_endpoint)


def _webhook(settings: MessagingSettings, clock: Clock) -> Courier:
    from yaoshi.messaging.providers.webhook import Webhook

    return Webhook(clock, settings.sms_webhook_url, settings.sms_webhook_secret)
