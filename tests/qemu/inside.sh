#!/bin/sh
# Run by run.sh inside the virtual machine.
here=$(dirname "$0")
python=$here/../../.venv/bin/python
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp PYTHONDONTWRITEBYTECODE=1
cd "$here/../.." || exit 1
mkdir -p /run/dbus /var/lib/bluetooth
dbus-daemon --system --fork --nopidfile
"$python" -m tests.qemu.controllers &
while [ "$(ls /sys/class/bluetooth 2>/dev/null | grep -c hci)" != 2 ]; do sleep 1; done
"$python" -m tests.qemu.bluez 2>&1
