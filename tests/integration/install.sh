#!/usr/bin/env bash
# Installs ejabberd where it is missing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../apt.sh"

installed() {
    command -v erl >/dev/null && compgen -G '/usr/lib/*/ejabberd-*/ebin/ejabberd.beam' >/dev/null
}

installed && exit
install ejabberd ejabberd
installed
