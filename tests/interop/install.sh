#!/usr/bin/env bash
# Installs Node.js and npm where they are missing; the tests themselves bring the SDK.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../apt.sh"

installed() {
    command -v node >/dev/null && command -v npm >/dev/null
}

installed && exit
install Node.js nodejs npm
installed
