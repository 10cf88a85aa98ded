#!/usr/bin/env bash
# Installs Chromium where it is missing; Playwright, which drives it, is among the tools in .venv.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../apt.sh"

installed() {
    command -v chromium >/dev/null
}

installed && exit
install Chromium chromium fonts-dejavu-core
installed
