"""A mail server whose faults are scripted by the recipient's address. For tests: it listens on 127.0.0.1 only.

    target/venv/bin/python tests/tools/faulty_smtp.py --dir FOLDER

Listeners, each on a free port, written to FOLDER/ports.json once all of them accept:

    plain           no TLS, no login
    starttls        STARTTLS is required before MAIL
    tls             TLS from the first byte
    auth            login required (PLAIN or LOGIN; user "pombo", password "correct horse"), without TLS
    starttls_auth   STARTTLS, then login required
    refuse          greets with 421 and closes
    silent          accepts the connection and never says anything

The certificate is for localhost and 127.0.0.1, from a CA made at start: FOLDER/ca.pem.

Faults: a recipient `fault.MODE.TIMES.TAG@…` fails TIMES times (0: always), counted per address; then it is accepted.

    421 450 451 452 550 551 552 553 554   this reply to RCPT
    data-451, data-554 …                  this reply to the end of the mail
    drop-rcpt                             the connection breaks at RCPT
    drop-data                             … after the first bytes of the mail
    drop-end                              … at the end of the mail, which is not kept
    drop-after                            … at the end of the mail, which IS kept: the client cannot know
    hang-rcpt, hang-data                  no answer to RCPT; none to the end of the mail (which is not kept)
    slow-250, slow-1000 …                 accepted after that many milliseconds

FOLDER/mails.jsonl has a line for each mail that was kept; FOLDER/attempts.jsonl one for each RCPT and each end of a mail,
with what was answered. Lines are appended whole, so that a reader that stops at the last newline sees no half line.
The server ends when its standard input does, and removes the folder.
"""

import argparse
import asyncio
import email.parser
import email.policy
import hashlib
import json
import logging
import os
import pathlib
import shutil
import sys
import time
import warnings
from collections import Counter

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword, syntax

from certificates import certificates

USER, PASSWORD = b"pombo", b"correct horse"
TEXT_LIMIT = 64 * 1024


class Script:
    """Which fault a recipient's next attempt meets."""

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()

    def next(self, address: str) -> str | None:
        local = address.split("@", 1)[0]
        pieces = local.split(".")
        if len(pieces) < 3 or pieces[0] != "fault" or not pieces[2].isdigit():
            return None
        times = int(pieces[2])
        self.attempts[address] += 1
        return pieces[1] if times == 0 or self.attempts[address] <= times else None


class Journal:
    """Appends whole lines to the two files the tests read."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.mails = open(folder / "mails.jsonl", "ab", buffering=0)
        self.tried = open(folder / "attempts.jsonl", "ab", buffering=0)

    def attempt(self, listener: str, recipient: str, at: str, answer: str) -> None:
        line = {"time": time.time(), "listener": listener, "recipient": recipient, "at": at, "answer": answer}
        self.tried.write(json.dumps(line).encode() + b"\n")

    def mail(self, listener: str, tls: bool, session, envelope, answered: bool) -> None:
        message = email.parser.BytesParser(policy=email.policy.default).parsebytes(envelope.original_content)
        parts = []
        for part in message.walk():
            if part.is_multipart():
                continue
            content = part.get_payload(decode=True) or b""
            parts.append({
                "content_type": part.get_content_type(),
                "disposition": part.get_content_disposition(),
                "filename": part.get_filename(),
                "content_id": part.get("Content-ID"),
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "text": content.decode("utf-8", "replace")
                if part.get_content_maintype() == "text" and len(content) <= TEXT_LIMIT else None,
            })
        line = {
            "time": time.time(),
            "listener": listener,
            "tls": tls,
            "user": getattr(session, "user", None),
            "from": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "message_id": message.get("Message-ID"),
            "subject": message.get("Subject"),
            "headers": {name: str(value) for name, value in message.items()},
            "parts": parts,
            "size": len(envelope.original_content),
            "answered": answered,
        }
        self.mails.write(json.dumps(line).encode() + b"\n")


class Handler:
    """aiosmtpd's hooks for one listener."""

    def __init__(self, listener: str, script: Script, journal: Journal) -> None:
        self.listener, self.script, self.journal = listener, script, journal

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        mode = self.script.next(address)
        if mode is not None and mode.isdigit():
            self.journal.attempt(self.listener, address, "rcpt", mode)
            return f"{mode} {self.reason(mode)}"
        if mode == "drop-rcpt":
            self.journal.attempt(self.listener, address, "rcpt", "drop")
            server.transport.abort()
            return "421 dropped"
        if mode == "hang-rcpt":
            self.journal.attempt(self.listener, address, "rcpt", "hang")
            await asyncio.sleep(3600)
        envelope.fault = mode
        envelope.rcpt_tos.append(address)
        self.journal.attempt(self.listener, address, "rcpt", "250")
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mode = getattr(envelope, "fault", None) or ""
        recipient = ",".join(envelope.rcpt_tos)
        tls = server.transport.get_extra_info("ssl_object") is not None

        def note(answer: str) -> None:
            self.journal.attempt(self.listener, recipient, "data", answer)

        if mode.startswith("data-"):
            code = mode.removeprefix("data-")
            note(code)
            return f"{code} {self.reason(code)}"
        if mode in ("drop-end", "drop-after"):
            if mode == "drop-after":
                self.journal.mail(self.listener, tls, session, envelope, answered=False)
            note("drop")
            server.transport.abort()
            return "421 dropped"
        if mode == "hang-data":
            note("hang")
            await asyncio.sleep(3600)
        if mode.startswith("slow-"):
            await asyncio.sleep(int(mode.removeprefix("slow-")) / 1000)
        self.journal.mail(self.listener, tls, session, envelope, answered=True)
        note("250")
        return "250 OK: queued"

    @staticmethod
    def reason(code: str) -> str:
        return {
            "421": "4.7.0 too many connections, try again later",
            "450": "4.2.1 mailbox receives mail too quickly",
            "451": "4.3.0 local error, try again later",
            "452": "4.3.1 out of storage",
            "550": "5.1.1 no such user",
            "551": "5.7.1 user not local",
            "552": "5.2.2 mailbox full",
            "553": "5.1.3 mailbox name not allowed",
            "554": "5.7.1 refused by policy",
        }.get(code, "scripted")


class FaultySMTP(SMTP):
    """aiosmtpd's server, which can also break the connection in the middle of a mail."""

    line_length_limit = 8192

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        if self.envelope is not None and getattr(self.envelope, "fault", None) == "drop-data":
            self.event_handler.journal.attempt(
                self.event_handler.listener, ",".join(self.envelope.rcpt_tos), "data", "drop")
            await self.push("354 go on")
            await self._reader.read(16)
            self.transport.abort()
            return
        await super().smtp_DATA(arg)


def authenticator(server, session, envelope, mechanism, auth_data):
    """Takes the one user; anything else is a 535."""
    if isinstance(auth_data, LoginPassword) and (auth_data.login, auth_data.password) == (USER, PASSWORD):
        session.user = USER.decode()
        return AuthResult(success=True)
    return AuthResult(success=False, handled=False)


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"421 4.3.2 service not available\r\n")
    await writer.drain()
    writer.close()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def serve(folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    context = certificates(folder, ["localhost"])
    script, journal = Script(), Journal(folder)
    loop = asyncio.get_running_loop()
    listeners = {
        "plain": {},
        "starttls": {"tls_context": context, "require_starttls": True},
        "tls": {},
        "auth": {"authenticator": authenticator, "auth_required": True, "auth_require_tls": False},
        "starttls_auth": {
            "tls_context": context, "require_starttls": True, "authenticator": authenticator, "auth_required": True,
        },
    }
    servers = {}
    for name, options in listeners.items():
        handler = Handler(name, script, journal)

        def factory(handler=handler, options=options):
            return FaultySMTP(handler, hostname="faulty.test", enable_SMTPUTF8=True, data_size_limit=None, loop=loop,
                              command_call_limit=None, **options)

        servers[name] = await loop.create_server(
            factory, "127.0.0.1", 0, ssl=context if name == "tls" else None, backlog=1024)
    servers["refuse"] = await asyncio.start_server(refuse, "127.0.0.1", 0)
    servers["silent"] = await asyncio.start_server(silent, "127.0.0.1", 0)
    ports = {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
    unfinished = folder / "ports.json.new"
    unfinished.write_text(json.dumps(ports))
    os.replace(unfinished, folder / "ports.json")

    ended = loop.create_future()

    def on_stdin() -> None:
        if not os.read(sys.stdin.fileno(), 1024) and not ended.done():
            ended.set_result(None)

    loop.add_reader(sys.stdin.fileno(), on_stdin)
    await ended


def main() -> None:
    parser = argparse.ArgumentParser(description="a mail server with scripted faults")
    parser.add_argument("--dir", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    # aiosmtpd warns of a login without TLS, which is just what the listener `auth` is for.
    warnings.filterwarnings("ignore", message="Requiring AUTH")
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    asyncio.run(serve(arguments.dir))
    shutil.rmtree(arguments.dir, ignore_errors=True)
    # Hanging sessions are left to die with the process.
    os._exit(0)


if __name__ == "__main__":
    main()
