"""Runs a private postfix for a test: its own configuration, queue and mailbox, on a free port of 127.0.0.1.

    python3 tests/tools/postfix.py --dir FOLDER

Needs root (postfix changes users). The system's own postfix, if there is one, is not touched: nothing outside FOLDER is
read but postfix's programs. Mail for inbox-ANYTHING@pombo.test goes to the Maildir FOLDER/mail/inbox/new; anybody else
there is unknown (550), and nothing is ever relayed. FOLDER/ports.json holds {"smtp": port} once the server accepts. It ends, and postfix
with it, when its standard input does.
"""

import argparse
import json
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import time

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/state
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/log/postfix.log
maillog_file_prefixes = {folder}/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.pombo.test
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient, reject_unauth_destination
default_transport = error:nothing leaves this test
relay_transport = error:nothing leaves this test
virtual_mailbox_domains = pombo.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = regexp:{folder}/etc/mailboxes
alias_maps =
local_recipient_maps =
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
message_size_limit = 104857600
biff = no
"""

MAILBOXES = r"/^inbox-[^@]*@pombo\.test$/ inbox/" + "\n"

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
tlsmgr    unix  - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description="a private postfix for a test")
    parser.add_argument("--dir", required=True, type=pathlib.Path)
    folder = parser.parse_args().dir.resolve()
    if os.geteuid() != 0:
        print("postfix.py: needs root, since postfix changes users", file=sys.stderr)
        return 2
    owner = pwd.getpwnam("postfix")
    configuration = folder / "etc"
    for name in ("etc", "queue", "state", "log", "mail"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # Its daemons drop root: every folder above must let them pass.
    for path in (folder, configuration, folder / "log", folder / "mail", folder / "queue"):
        path.chmod(0o755)
    shutil.chown(folder / "state", owner.pw_uid, owner.pw_gid)
    shutil.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
    port = free_port()
    values = {"folder": folder, "uid": owner.pw_uid, "gid": owner.pw_gid, "port": port}
    (configuration / "main.cf").write_text(MAIN.format(**values))
    (configuration / "master.cf").write_text(MASTER.format(**values))
    (configuration / "mailboxes").write_text(MAILBOXES)
    postfix = ["/usr/sbin/postfix", "-c", str(configuration)]
    log = folder / "log" / "postfix.log"
    started = subprocess.run([*postfix, "start"], capture_output=True, text=True)
    if started.returncode != 0:
        print(f"postfix.py: {started.stdout}{started.stderr}{log.read_text() if log.exists() else ''}", file=sys.stderr)
        return 1
    try:
        deadline = time.monotonic() + 20
        while not greets(port):
            if time.monotonic() > deadline:
                print(f"postfix.py: does not answer\n{log.read_text() if log.exists() else ''}", file=sys.stderr)
                return 1
            time.sleep(0.05)
        (folder / "ports.json.new").write_text(json.dumps({"smtp": port}))
        os.replace(folder / "ports.json.new", folder / "ports.json")
        while os.read(sys.stdin.fileno(), 1024):
            pass
    finally:
        subprocess.run([*postfix, "stop"], capture_output=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
