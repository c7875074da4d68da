#!/bin/sh
# Keeps cargo from compiling WhatsApp's protocol twice. Run it between two cargo commands: settle_protocol.sh TARGET_FOLDER
#
# The build script of `waproto` writes a file that it also names among its inputs. After the first build that file is newer than the time
# that cargo noted for the script, so the next cargo command would compile the crate, and all that use it, again: five minutes of
# processor time. Setting the file's time back ends that.
set -eu
[ -d "$1" ] || exit 0
find "$1" -path '*/build/waproto-*/out/whatsapp.local.desc' -exec touch -d @0 {} +
