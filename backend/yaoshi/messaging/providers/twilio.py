"""SMS by Twilio."""

from urllib.parse import urlencode

from yaoshi.messaging.letters import Letter
from yaoshi.messaging.providers.courier import Courier, KeyRefused, Refused, Unreached
from yaoshi.messaging.providers.http import ask, member, post

ENDPOINT = "https://api.twilio.com"
_NEVER = (21211, 21214, 21408, 21610, 21614)


class Twilio(Courier):
    """Sends our own words. `sender` is a number, or a messaging service (`MG…`)."""

    name = "twilio"

    def __init__(self, account: tuple[str, str], sender: str, endpoint: str = ENDPOINT) -> None:
        self._account, self._sender, self._endpoint = account, sender, endpoint

    def send(self, letter: Letter) -> str:
        """Hand over `letter`. Raises Unreached, Unsure, Refused."""
        kind = "MessagingServiceSid" if self._sender.startswith("MG") else "From"
        body = urlencode({"To": letter.to, kind: self._sender, "Body": letter.sms}).encode()
        status, answer = post(
            f"{self._endpoint}/2010-04-01/Accounts/{self._account[0]}/Messages.json",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=body,
            auth=self._account,
        )
        if status == 201:
            return str(member(answer, "sid") or "")
        code = member(answer, "code")
        raise (Refused if code in _NEVER else Unreached)(f"HTTP {status} {code}")

    def greet(self) -> None:
        """Read the account: the token must be right. Raises Unreached, Unsure."""
        address = f"{self._endpoint}/2010-04-01/Accounts/{self._account[0]}.json"
        status, answer = ask("GET", address, headers={}, auth=self._account)
        if status != 200:
            raise (KeyRefused if status in (401, 403, 404) else Unreached)(f"HTTP {status} {member(answer, 'code')}")
        if member(answer, "status") not in (None, "active"):
            raise Unreached(f"the account is {member(answer, 'status')}"[:80])

    def delivered(self, receipt: str, letter: Letter) -> bool | None:
        """Ask for the receipt. Raises Unreached, Unsure."""
        address = f"{self._endpoint}/2010-04-01/Accounts/{self._account[0]}/Messages/{receipt}.json"
        _, answer = ask("GET", address, headers={}, auth=self._account)
        return {"delivered": True, "undelivered": False, "failed": False}.get(str(member(answer, "status")))
