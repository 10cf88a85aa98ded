#!/usr/bin/env bash
# Installs ejabberd where it is missing, by apt-get and as root. Nothing is started: the tests run a server of their own.
set -euo pipefail

installed() {
    command -v erl >/dev/null && compgen -G '/usr/lib/*/ejabberd-*/ebin/ejabberd.beam' >/dev/null
}

installed && exit

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "ejabberd is missing: install your system's package (Debian and Ubuntu: apt-get install ejabberd, as root)" >&2
    exit 1
fi

# Debian asks this script whether it may start a package's service.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

echo "Installing ejabberd"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update && apt-get install --yes --no-install-recommends ejabberd; } >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    exit 1
fi
rm -f "$log"
installed
