"""Senders that stop at nothing, by HTTP and by mail, and what they were promised."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import smtplib
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from instance import Instance

SENDERS = 4
"""Of each kind."""
PATIENCE = 15.0
RETRIED = {409, 429, 503, 507}
"""409: its twin's transaction is still under way."""


@dataclass
class Campaign:
    """Payloads are numbered; each third goes by mail, which has no idempotency key, so that some are there twice."""

    instance: Instance
    key: str
    mail_port: int
    address: str
    payloads: int
    acknowledged: dict[int, str] = field(default_factory=dict)
    sent: dict[int, str] = field(default_factory=dict)
    """SHA-256 of what was sent."""
    doubts: Counter[int] = field(default_factory=Counter)
    """How often a mail was handed over and not answered: it may be there."""
    refused: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _allowed: list[threading.Semaphore] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Start the senders; they wait to be allowed each payload."""
        by_mail = [number for number in range(self.payloads) if is_mail(number)]
        by_http = [number for number in range(self.payloads) if not is_mail(number)]
        for numbers, sender in ((by_http, HttpSender), (by_mail, MailSender)):
            allowed, left = threading.Semaphore(0), iter(numbers)
            self._allowed.append(allowed)
            for _ in range(SENDERS):
                thread = threading.Thread(target=self._send_all, args=(left, allowed, sender), daemon=True)
                self._threads.append(thread)
                thread.start()

    def allow(self, payloads: int) -> None:
        """Let so many more payloads be sent, of both kinds together."""
        http_, mail = self._allowed
        http_.release(max(1, payloads * 2 // 3))
        mail.release(max(1, payloads // 3))

    def finish(self, seconds: float) -> None:
        """Let everything be sent and wait for it."""
        self.allow(3 * self.payloads + 6 * SENDERS)
        for thread in self._threads:
            thread.join(seconds)

    def mails(self) -> int:
        """Return how many mails were acknowledged."""
        return sum(map(is_mail, list(self.acknowledged)))

    def _send_all(
        self, left: Iterator[int], allowed: threading.Semaphore, sender: Callable[[Campaign], HttpSender | MailSender]
    ) -> None:
        with contextlib.closing(sender(self)) as one:
            while True:
                allowed.acquire()
                with self._lock:
                    number = next(left, None)
                if number is None:
                    return
                body = mail(number) if is_mail(number) else document(number)
                self.sent[number] = hashlib.sha256(body).hexdigest()
                while not self.over.is_set() and not self._is_settled(one, number, body):
                    self.over.wait(0.05)

    def _is_settled(self, sender: HttpSender | MailSender, number: int, body: bytes) -> bool:
        taken = sender.send(number, body)
        if taken is not None:
            self.acknowledged[number] = taken
        return taken is not None or any(one.startswith(f"{number}:") for one in self.refused)


class HttpSender:
    """Sends under one idempotency key for each payload, over a connection that it keeps while it lives."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.connection: http.client.HTTPSConnection | None = None

    def send(self, number: int, body: bytes) -> str | None:
        """Send once; return the payload's id once it is acknowledged."""
        headers = {
            "Authorization": f"Bearer {self.campaign.key}",
            "Idempotency-Key": f"payload-{number}",
            "Content-Type": "application/json",
        }
        try:
            self.connection = self.connection or self.campaign.instance.connect()
            self.connection.request("POST", "/v1/payloads", body=body, headers=headers)
            answer = self.connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        if answer.status == 202:
            return json.loads(said)["id"]
        if answer.status not in RETRIED:
            self.campaign.refused.append(f"{number}: {answer.status} {said[:200]!r}")
        return None

    def close(self) -> None:
        """Forget the connection."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class MailSender:
    """Sends through STARTTLS, over a connection that it keeps while it lives."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.connection: smtplib.SMTP | None = None

    def send(self, number: int, body: bytes) -> str | None:
        """Send once; return the payload's id once it is acknowledged."""
        handed_over = False
        try:
            connection = self.connection = self.connection or self._connect()
            connection.ehlo_or_helo_if_needed()
            for code, said in (connection.mail("ann@sender.test"), connection.rcpt(self.campaign.address)):
                if code != 250:
                    return self._told(number, code, said)
            handed_over = True
            code, said = connection.data(body)
        except (OSError, smtplib.SMTPException) as error:
            if handed_over and not isinstance(error, smtplib.SMTPDataError):
                self.campaign.doubts[number] += 1
            self.close()
            return None
        return said.decode().rsplit(maxsplit=1)[-1] if code == 250 else self._told(number, code, said)

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=str(self.campaign.instance.ca_file))
        connection = smtplib.SMTP("127.0.0.1", self.campaign.mail_port, timeout=PATIENCE)
        connection.starttls(context=context)
        return connection

    def _told(self, number: int, code: int, said: bytes) -> None:
        self.close()
        if code >= 500:
            self.campaign.refused.append(f"{number}: {code} {said[:200]!r}")

    def close(self) -> None:
        """Forget the connection."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def is_mail(number: int) -> bool:
    """Return whether a payload goes by mail."""
    return number % 3 == 0


def document(number: int) -> bytes:
    """Return the JSON of a payload."""
    return json.dumps({"number": number, "filling": "x" * (number % 7) * 300}).encode()


def mail(number: int) -> bytes:
    """Return the mail of a payload."""
    head = f"From: Ann <ann@sender.test>\r\nSubject: Payload {number}\r\nMessage-ID: <{number}@sender.test>\r\n\r\n"
    return head.encode() + (b"y" * 70 + b"\r\n") * (1 + number % 7 * 4)
