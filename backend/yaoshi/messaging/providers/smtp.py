"""Mail by SMTP: STARTTLS or implicit TLS, one connection for many messages."""

import re
import smtplib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from urllib.parse import unquote, urlsplit

from yaoshi.messaging.letters import Letter
from yaoshi.messaging.providers.courier import ANSWER_SECONDS, Courier, KeyRefused, Refused, Unreached, Unsure

_IDLE_SECONDS = 20.0
_MOST_MESSAGES = 50
_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_PORTS = {"smtp": 587, "smtps": 465}


class _Connection:
    """One open conversation with the server."""

    def __init__(self, client: smtplib.SMTP) -> None:
        self.client, self.messages, self.used_at = client, 0, time.monotonic()

    def is_fresh(self) -> bool:
        """Return whether it may be used once more."""
        return self.messages < _MOST_MESSAGES and time.monotonic() - self.used_at < _IDLE_SECONDS


class Smtp(Courier):
    """One server: `smtps://user:password@host:465`, or `smtp://…:587`, which must offer STARTTLS.

    Only a server on this machine may be spoken to in clear, and its certificate, mostly one of its own making, proves
    nothing that the address does not. Source: RFC 8314 §3.
    """

    name = "smtp"
    idempotent = True  # by its Message-ID

    def __init__(self, url: str, sender: str, *, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "smtps"
        self._host, self._port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._sender = sender
        self._context = context or _context(self._host)
        self._idle: list[_Connection] = []
        self._turn = threading.Lock()

    def send(self, letter: Letter) -> str:
        """Hand over `letter`. Raises Unreached, Unsure, Refused."""
        to = _wire_address(letter.to)
        mail = self._mail(letter, to)
        with self._connection() as connection:
            try:
                code, said = connection.client.mail(parseaddr(self._sender)[1])
                if code >= 400:
                    raise Unreached(_told(code, said))
                code, said = connection.client.rcpt(to)
                if code >= 400:
                    connection.client.rset()
                    raise (Refused if code >= 500 else Unreached)(_told(code, said))
            except (smtplib.SMTPException, OSError, UnicodeError) as error:
                raise Unreached(_reason(error)) from error
            try:
                code, said = connection.client.data(mail)
            except smtplib.SMTPDataError as error:
                raise Unreached(_told(error.smtp_code, error.smtp_error)) from error
            except (smtplib.SMTPException, OSError) as error:
                raise Unsure(_reason(error)) from error
            if code != 250:
                raise (Refused if code >= 500 else Unreached)(_told(code, said))
            connection.messages += 1
        return ""

    def greet(self) -> None:
        """Connect, secure and sign in, and send nothing. Raises Unreached."""
        with self._connection():
            pass

    def _mail(self, letter: Letter, to: str) -> bytes:
        mail = EmailMessage(policy=SMTP)
        try:
            mail["From"], mail["To"], mail["Subject"] = self._sender, to, letter.subject
            mail["Date"] = formatdate(usegmt=True)
            # The same at every attempt: a mailbox that gets a message twice can show it once.
            mail["Message-ID"] = f"<{letter.key}@{parseaddr(self._sender)[1].rpartition('@')[2]}>"
            mail["Auto-Submitted"] = "auto-generated"
            mail.set_content(letter.text)
            mail.add_alternative(letter.html, subtype="html")
            mail["Content-Language"] = letter.language
            return mail.as_bytes()
        except (ValueError, UnicodeError) as error:
            raise Refused("the address or the subject can't stand in a mail") from error

    @contextmanager
    def _connection(self) -> Iterator[_Connection]:
        """Yield an open connection; it is kept for the next message unless something went wrong."""
        with self._turn:
            connection = self._idle.pop() if self._idle else None
        if connection is None or not connection.is_fresh() or not _answers(connection):
            if connection:
                _close(connection.client)
            connection = self._open()
        try:
            yield connection
        except Refused:
            self._keep(connection)
            raise
        except BaseException:
            _close(connection.client)
            raise
        self._keep(connection)

    def _keep(self, connection: _Connection) -> None:
        connection.used_at = time.monotonic()
        with self._turn:
            self._idle.append(connection)

    def _open(self) -> _Connection:
        try:
            if self._secure:
                client: smtplib.SMTP = smtplib.SMTP_SSL(
                    self._host, self._port, timeout=ANSWER_SECONDS, context=self._context
                )
            else:
                client = smtplib.SMTP(self._host, self._port, timeout=ANSWER_SECONDS)
        except (smtplib.SMTPException, OSError) as error:
            raise Unreached(_reason(error)) from error
        try:
            client.ehlo_or_helo_if_needed()
            if not self._secure and (client.has_extn("starttls") or not is_here(self._host)):
                client.starttls(context=self._context)
                client.ehlo()  # RFC 3207 §4.2: what was said before counts for nothing
            if self._user:
                client.login(self._user, self._password)
        except smtplib.SMTPAuthenticationError as error:
            _close(client)
            raise KeyRefused(_reason(error)) from error
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            _close(client)
            raise Unreached(_reason(error)) from error
        return _Connection(client)


def _context(host: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if is_here(host):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _wire_address(address: str) -> str:
    """Return the address with its domain in ASCII; one that can't be written so is refused. Source: RFC 5891."""
    local, _, domain = address.rpartition("@")
    try:
        wire = f"{local}@{domain.encode('idna').decode('ascii')}"
        wire.encode("ascii")
    except UnicodeError as error:
        raise Refused("the address needs SMTPUTF8") from error
    return wire


def is_here(host: str) -> bool:
    """Return whether a server's name means this machine."""
    return host in ("localhost", "127.0.0.1", "::1")


def _answers(connection: _Connection) -> bool:
    try:
        return connection.client.noop()[0] == 250
    except (smtplib.SMTPException, OSError):
        return False


def _close(client: smtplib.SMTP) -> None:
    with suppress(OSError):
        client.close()


def _told(code: int, said: bytes | str) -> str:
    """Return the codes of a reply: its words often repeat the address."""
    text = said.decode("ascii", "replace") if isinstance(said, bytes) else said
    enhanced = _ENHANCED.match(text)
    return f"{code} {enhanced[0]}" if enhanced else str(code)


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _told(error.smtp_code, error.smtp_error)
    return type(error).__name__
