"""TLS in front of a plain server of this machine: decrypts, and passes everything on.

    tls_front.py --dir FOLDER --name NAME --to PORT

Listens on a free port of 127.0.0.1 and writes FOLDER/port when it is ready; FOLDER/ca.pem is the authority to trust. It counts the
connections whose TLS handshake succeeded in FOLDER/connections, one byte each. It ends when its standard input does.
"""

import argparse
import asyncio
import pathlib
import sys

from certificates import certificates


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--dir", type=pathlib.Path, required=True)
    arguments.add_argument("--name", required=True)
    arguments.add_argument("--to", type=int, required=True)
    given = arguments.parse_args()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with (given.dir / "connections").open("ab") as count:
            count.write(b".")
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", given.to)
        await asyncio.gather(pass_on(reader, behind_writer), pass_on(behind_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificates(given.dir, [given.name]))
    ready = given.dir / "port.new"
    ready.write_text(str(server.sockets[0].getsockname()[1]))
    ready.rename(given.dir / "port")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
