#!/bin/sh
# Installs the agent from the directory of this file: the program, its unit, and its settings unless there are some.
# Run it as root, again to upgrade. With DESTDIR set it only puts files there.
set -eu
cd "$(dirname "$0")"
root="${DESTDIR:-}"
install -d -m 0755 "$root/usr/local/bin" "$root/etc/systemd/system" "$root/etc/bakehouse"
# Beside it, then in its place: a running program's file can't be written.
install -m 0755 bakehouse-agent "$root/usr/local/bin/.bakehouse-agent.new"
mv -f "$root/usr/local/bin/.bakehouse-agent.new" "$root/usr/local/bin/bakehouse-agent"
install -m 0644 bakehouse-agent.service "$root/etc/systemd/system/bakehouse-agent.service"
sample=
if [ ! -e "$root/etc/bakehouse/agent.json" ]; then
    install -m 0644 agent.json "$root/etc/bakehouse/agent.json"
    sample=yes
fi
[ -n "$root" ] && exit 0
systemctl daemon-reload
if [ -n "$sample" ]; then
    echo "write /etc/bakehouse/agent.json (an example is there now), then: systemctl enable --now bakehouse-agent" >&2
    exit 0
fi
systemctl enable bakehouse-agent
# An older one ends its builds in order first; that may take minutes, and need not be waited for.
systemctl restart --no-block bakehouse-agent
