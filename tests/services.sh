#!/usr/bin/env bash
# Installs the outside programs that tests talk to, from the system's packages:
#
#   tests/services.sh                 all of them
#   tests/services.sh containers      runc, umoci, skopeo, buildah
#   tests/services.sh brokers         rabbitmq-server, redis-server
#
# That needs root and apt-get. Without them, or if it fails, it says what is not there and how to get it, and ends with 1; the tests
# that need it then skip. Nothing is started: a test that wants a broker starts one of its own, at a port and in a folder of its own.

set -euo pipefail

readonly CONTAINERS=(runc umoci skopeo buildah)
readonly BROKERS=(rabbitmq-server redis-server)
readonly POLICY=/usr/sbin/policy-rc.d

# Servers are in folders that not every user has on PATH.
has() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null; }

# missing PROGRAMS...: those that are not there, each on a line. A package has the name of its program.
missing() {
    local program
    for program in "$@"; do
        has "$program" || echo "$program"
    done
}

install_packages() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@"
}

# bring PACKAGES...: installs them without starting what is in them.
bring() (
    # Packages ask this program whether they may start their service; 101 is no. One that is there is the owner's decision.
    if [[ ! -e $POLICY ]]; then
        trap 'rm -f "$POLICY"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$POLICY"
        chmod 755 "$POLICY"
    fi
    # A machine whose lists are old or not there gets them and tries again.
    install_packages "$@" || { apt-get -q update && install_packages "$@"; } || return
    # Nor at the machine's next start.
    local package
    for package in "$@"; do
        if [[ $package == *-server ]] && command -v systemctl >/dev/null; then
            systemctl --quiet disable "$package" 2>/dev/null || true
        fi
    done
)

wanted=()
for part in "${@:-all}"; do
    case $part in
    containers) wanted+=("${CONTAINERS[@]}") ;;
    brokers) wanted+=("${BROKERS[@]}") ;;
    all) wanted+=("${CONTAINERS[@]}" "${BROKERS[@]}") ;;
    *)
        printf '%s: no such services\nwhy: there are containers and brokers\ndo:  tests/services.sh    (both)\n' "$part" >&2
        exit 2
        ;;
    esac
done

mapfile -t absent < <(missing "${wanted[@]}")
if [[ ${#absent[@]} -gt 0 && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    bring "${absent[@]}" || true # what is missing is said below
    mapfile -t absent < <(missing "${absent[@]}")
fi
if [[ ${#absent[@]} -gt 0 ]]; then
    echo "NOT INSTALLED: ${absent[*]} (sudo apt-get install ${absent[*]})"
    exit 1
fi
echo "there: ${wanted[*]}"
