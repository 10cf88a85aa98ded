# Read by the scripts that install what tests need: `install WHAT PACKAGE...` installs packages by apt-get, as
# root. Nothing is started: the tests run servers of their own.

install() {
    local what=$1
    shift
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        echo "$what is missing: install your system's package (Debian and Ubuntu: apt-get install $*, as root)" >&2
        exit 1
    fi

    # Debian asks this script whether it may start a package's service.
    local policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi

    echo "Installing $what"
    export DEBIAN_FRONTEND=noninteractive
    local log
    log=$(mktemp)
    if ! { apt-get update && apt-get install --yes --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        exit 1
    fi
    rm -f "$log"
}
