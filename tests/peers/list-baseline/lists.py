"""The lists' baseline: an ordinary SQL table with an index for each filter, in process (SQLite), with the same messages.

    python3 lists.py MESSAGES QUERIES        prints {"list_status": {"p50": ms, "p99": ms}, …}

A query is what a list answers: the exact total and a page of 250, newest first. It has no HTTP and no JSON to pay for, so the
comparison favours it. The search is what such a service does: LIKE over recipient, name and text.
"""

import json
import random
import sqlite3
import sys
import time

STATUSES = ["PENDING"] * 80 + ["CANCELED"] * 10 + ["PENDING_APPROVAL"] * 6 + ["WAITING"] * 4
TYPES = ["GERAL", "NOTIFICATION", "MARKETING", "TRANSACTIONAL", "SUPPORT", "REMINDER"]
WORDS = ("pedido entrega pagamento boleto consulta agenda reserva compra fatura contrato plano produto loja cliente conta "
         "nota suporte horário retirada desconto").split()


def rows(count: int):
    draw = random.Random(7)
    for serial in range(count):
        yield (
            serial, draw.choice(STATUSES), f"connector-{serial % 4}", TYPES[serial % 6], 1_700_000_000 + serial // 500,
            f"REF-{serial}", f"cliente{serial}@exemplo.test", f"Cliente {serial % 5000}",
            f"Olá! Seu {WORDS[serial % 20]} {serial} de {WORDS[(serial // 20) % 20]} foi confirmado, código {serial * 7919 % 1_000_003:06d}.",
        )


def main() -> None:
    count, queries = int(sys.argv[1]), int(sys.argv[2])
    base = sqlite3.connect(":memory:")
    base.execute(
        "create table message (serial integer primary key, status text, connector text, type text, at integer, external text,"
        " recipient text, name text, body text)")
    base.executemany("insert into message values (?,?,?,?,?,?,?,?,?)", rows(count))
    for columns in ("status", "connector", "type", "at", "external"):
        base.execute(f"create index by_{columns} on message ({columns}, serial)")
    base.execute("analyze")
    draw = random.Random(11)
    seconds = count // 500

    def dates():
        first = 1_700_000_000 + draw.randrange(max(1, seconds))
        return first, first + max(1, seconds // 10)

    cases = {
        "list_none": ("1", lambda: ()),
        "list_status": ("status = ?", lambda: (draw.choice(["PENDING", "CANCELED", "PENDING_APPROVAL", "WAITING"]),)),
        "list_connector": ("connector = ?", lambda: (f"connector-{draw.randrange(4)}",)),
        "list_type": ("type = ?", lambda: (draw.choice(TYPES),)),
        "list_date": ("at between ? and ?", dates),
        "list_external_id": ("external = ?", lambda: (f"REF-{draw.randrange(count)}",)),
        "list_combined": ("status = ? and type = ? and connector = ?",
                          lambda: ("PENDING", draw.choice(TYPES), f"connector-{draw.randrange(4)}")),
        "search": ("(recipient like ?1 or name like ?1 or body like ?1)",
                   lambda: (f"%{draw.choice(WORDS)} {draw.randrange(count)}%",)),
    }
    result = {}
    for name, (where, values) in cases.items():
        times = []
        begun = time.perf_counter()
        for _ in range(queries):
            given = values()
            start = time.perf_counter()
            base.execute(f"select count(*) from message where {where}", given).fetchone()
            base.execute(f"select * from message where {where} order by serial desc limit 250", given).fetchall()
            times.append((time.perf_counter() - start) * 1000)
            # A slow one is measured fewer times: enough for a median.
            if time.perf_counter() - begun > 8 and len(times) >= 3:
                break
        times.sort()
        result[name] = {"p50": times[len(times) // 2], "p99": times[min(len(times) - 1, int(len(times) * 0.99))]}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
