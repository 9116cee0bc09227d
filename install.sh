#!/usr/bin/env bash
# Installs forkline on Debian or Ubuntu: what it needs, the kernel, and Jupyter if there is none;
# then runs the quickstart notebook. Safe to run again: what is there already is left alone.
#
# Order of the file: options, what is missing, the plan, then one function for each step.

set -Eeuo pipefail
readonly CALLED_FROM=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly RUST_NEEDED=1.95
readonly DATA_DIR=${FORKLINE_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/forkline}

usage() {
    cat <<'END'
Usage: ./install.sh [OPTIONS]

Installs forkline and what it needs, then runs the quickstart notebook. Safe to run again.

  --user               for the current user (the default)
  --prefix DIR         DIR/bin/forkline and DIR/share/jupyter/kernels
  --sys-prefix         into the virtual environment (or other prefix) of `python3`
  --name NAME          the kernel's name for Jupyter            (default: forkline)
  --display-name TEXT  the name that the launcher shows         (default: Rust (forkline))

  --no-mpi             do not install Open MPI and libclang, which ranks (%%mpi) need
  --no-opencl          do not install OpenCL for the CPU (PoCL), which device arrays need where there is no GPU
  --with-debugger      also install lldb-dap
  --no-apt             install no Debian package; say which are missing
  --no-quickstart      do not run the quickstart notebook
  --help               this text

Uses CARGO_TARGET_DIR for what cargo builds and FORKLINE_HOME for forkline's data, if set.
END
}

# ---- messages -----------------------------------------------------------------------------------

step() { printf '\n==> %s\n' "$1"; }
note() { printf '    %s\n' "$1"; }

# fail WHAT WHY DO...: what happened, why, and one line for each thing to do next.
fail() {
    trap - ERR
    printf '\n%s\nwhy: %s\n' "$1" "$2" >&2
    shift 2
    local lead='do: '
    for line in "$@"; do
        printf '%s %s\n' "$lead" "$line" >&2
        lead='    '
    done
    exit 1
}

trap 'fail "install.sh: line $LINENO failed" "the command was: $BASH_COMMAND" \
    "run ./install.sh again; it goes on where it stopped"' ERR

# ---- options ------------------------------------------------------------------------------------

use_apt=yes
run_quickstart=yes
with_mpi=yes
with_opencl=yes
with_debugger=ask
prefix=                 # the folder of --prefix; empty for --user
kernel_name=forkline
install_arguments=()    # handed to `forkline install`

has_value() { # OPTION ARGUMENTS...
    [[ $# -ge 2 ]] || fail "$1: a value is missing" "$1 is followed by its value" "./install.sh --help"
}

while [[ $# -gt 0 ]]; do
    # --option=value is the same as --option value.
    if [[ $1 == --*=* ]]; then
        set -- "${1%%=*}" "${1#*=}" "${@:2}"
    fi
    case $1 in
        --user) prefix=; install_arguments+=("$1") ;;
        --sys-prefix)
            prefix=$(python3 -c 'import sys; print(sys.prefix)') ||
                fail "--sys-prefix: python3 does not tell its prefix" "python3 did not run" \
                    "./install.sh --prefix DIR, or ./install.sh --user"
            install_arguments+=(--sys-prefix)
            ;;
        --prefix)
            has_value "$@"
            prefix=$2
            [[ $prefix == /* ]] || prefix=$CALLED_FROM/$prefix
            install_arguments+=(--prefix "$prefix")
            shift
            ;;
        --name)
            has_value "$@"
            kernel_name=$2
            install_arguments+=(--name "$kernel_name")
            shift
            ;;
        --display-name)
            has_value "$@"
            install_arguments+=(--display-name "$2")
            shift
            ;;
        --no-mpi) with_mpi=no ;;
        --no-opencl) with_opencl=no ;;
        --with-debugger) with_debugger=yes ;;
        --no-apt) use_apt=no ;;
        --no-quickstart) run_quickstart=no ;;
        --help | -h) usage; exit 0 ;;
        *) fail "$1: no such option" "install.sh does not know it" "./install.sh --help" ;;
    esac
    shift
done

# ---- what is there and what is missing ----------------------------------------------------------

have() { command -v "$1" >/dev/null 2>&1; }

has_debugger() { compgen -c lldb-dap >/dev/null; }

has_opencl() {
    # ldconfig may lie outside a user's PATH. Its whole output is read: with pipefail, a reader
    # that stops early would make it fail.
    PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep 'libOpenCL\.so\.1' >/dev/null &&
        compgen -G '/etc/OpenCL/vendors/*.icd' >/dev/null
}

# works JUPYTER: it starts and can run a notebook.
works() { "$1" nbconvert --version >/dev/null 2>&1; }

find_jupyter() {
    local candidate
    for candidate in "$(command -v jupyter || true)" "$DATA_DIR/venv/bin/jupyter"; do
        if [[ -n $candidate ]] && works "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
    done
}

find_cargo() {
    # rustup puts cargo here and changes PATH for the next login only.
    have cargo || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    have cargo
}

packages=() # Debian packages to install
reasons=()  # the plan, a line for each

want() { # REASON PACKAGE...
    reasons+=("apt: ${*:2}: $1")
    packages+=("${@:2}")
}

# optional SETTING TEST FLAG WHAT PACKAGE...: asks on a terminal, else says how to get it.
left_out=()
optional() {
    local setting=$1 test=$2 flag=$3 what=$4 answer
    shift 4
    if "$test"; then
        return
    fi
    if [[ $setting == ask && $use_apt == yes && -t 0 && -t 1 ]]; then
        read -r -p "Install $what? ($*) [y/N] " answer || answer=n
        [[ $answer == [yY]* ]] && setting=yes
    fi
    if [[ $setting == yes ]]; then
        want "$what" "$@"
    else
        left_out+=("$what: ./install.sh $flag")
    fi
}

can_apt() { [[ $use_apt == yes ]] && have apt-get && { [[ $EUID -eq 0 ]] || have sudo; }; }

# Either MPI library will do; libclang reads its headers when the plugin is built.
has_mpi() {
    have mpiexec && have mpicc &&
        compgen -G '/usr/lib/llvm-*/lib/libclang.so*' >/dev/null
}

survey() {
    have cc || want "links the kernel and the cells" build-essential
    have pkg-config || want "finds the two libraries below" pkg-config
    pkg-config --exists libzmq 2>/dev/null || want "Jupyter's transport, with encryption" libzmq3-dev
    pkg-config --exists sqlite3 2>/dev/null || want "the history of cells" libsqlite3-dev
    have mold || have ld.lld || [[ $use_apt == no ]] || want "links cells faster" mold
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || want "lets cargo and pip download" ca-certificates
    jupyter=$(find_jupyter)
    if [[ -z $jupyter ]]; then
        if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
            want "for a Jupyter of its own" python3-venv
        fi
        reasons+=("pip: jupyterlab nbconvert jupyter_client nbclient, into $DATA_DIR/venv")
    fi
    find_cargo || reasons+=("Rust $RUST_NEEDED or later, by rustup")
    local -a mpi=(libclang-dev)
    { have mpiexec && have mpicc; } || mpi+=(openmpi-bin libopenmpi-dev)
    # Everything but ranks and device arrays works without them, so they are no reason to fail where nothing can be
    # installed.
    can_apt || { with_mpi=no; with_opencl=no; }
    optional "$with_mpi" has_mpi "(as root, or with sudo)" "MPI (for ranks)" "${mpi[@]}"
    optional "$with_opencl" has_opencl "(as root, or with sudo)" "OpenCL on the CPU (for device arrays)" \
        pocl-opencl-icd ocl-icd-libopencl1
    optional "$with_debugger" has_debugger --with-debugger "lldb-dap (for the debugger)" lldb-19
}

plan() {
    step "What install.sh is about to do"
    if [[ ${#reasons[@]} -eq 0 ]]; then
        note "nothing to fetch: everything that the kernel needs is there"
    fi
    local line
    for line in "${reasons[@]}"; do note "$line"; done
    note "build the kernel, install it for Jupyter, build the prelude that cells link against"
    [[ $run_quickstart == no ]] || note "run notebooks/00-quickstart.ipynb to see that all works"
    for line in "${left_out[@]}"; do note "left out, optional: $line"; done
}

# ---- the steps ----------------------------------------------------------------------------------

apt_get() {
    local -a as_root=()
    if [[ $EUID -ne 0 ]]; then
        have sudo || fail "apt-get: needs root" "this is not root, and there is no sudo" \
            "as root: apt-get install ${packages[*]}" "then ./install.sh --no-apt"
        as_root=(sudo)
    fi
    # A fresh machine may still be updating itself and hold the lock for a while.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

install_packages() {
    [[ ${#packages[@]} -gt 0 ]] || return 0
    step "Debian packages: ${packages[*]}"
    [[ $use_apt == yes ]] || fail "--no-apt: packages are missing" "${packages[*]}" \
        "sudo apt-get install ${packages[*]}" "then ./install.sh --no-apt"
    have apt-get || fail "packages are missing: ${packages[*]}" \
        "there is no apt-get: this is neither Debian nor Ubuntu" \
        "install what has these names here, then ./install.sh --no-apt"
    apt_get update || note "apt-get update failed; trying with the lists that are there"
    apt_get install -y --no-install-recommends "${packages[@]}" ||
        fail "apt-get install ${packages[*]}: failed" "its own message is above" \
            "sudo apt-get update; sudo apt-get install ${packages[*]}" "then ./install.sh"
}

# at_least VERSION WANTED
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

install_rust() {
    step "Rust $RUST_NEEDED or later"
    if ! find_cargo; then
        packages=(rustup)
        if [[ $use_apt == yes ]] && have apt-get; then
            apt_get update >/dev/null || true
        fi
        # Debian 13 and Ubuntu 24.04 have it, older releases do not.
        if [[ $use_apt == yes ]] && have apt-get && apt-cache show rustup >/dev/null 2>&1; then
            install_packages
        else
            fail "cargo: not found" "neither on PATH nor in ${CARGO_HOME:-$HOME/.cargo}/bin" \
                "install it as https://rustup.rs says    (one line to paste)" "then ./install.sh"
        fi
    fi
    if ! rustc --version >/dev/null 2>&1; then
        have rustup || fail "rustc: does not run" "cargo is there, rustc does not answer" \
            "install Rust as https://rustup.rs says" "then ./install.sh"
        note "no toolchain is chosen yet: rustup default stable"
        rustup default stable || fail "rustup default stable: failed" "its own message is above" \
            "rustup default stable" "then ./install.sh"
    fi
    local version
    version=$(rustc --version | cut -d ' ' -f 2)
    at_least "$version" "$RUST_NEEDED" || fail "rustc $version: too old" \
        "forkline needs $RUST_NEEDED or later" "rustup update stable    (Debian's own: use rustup)" \
        "then ./install.sh"
    note "rustc $version in $(dirname "$(command -v rustc)")"

    local library
    library=$(rustc --print sysroot)/lib/rustlib/src/rust/library
    if [[ ! -d $library ]]; then
        note "rust-src is missing; without it no variable has a type"
        { have rustup && rustup component add rust-src; } ||
            fail "rustup component add rust-src: failed" \
                "there is no rustup, or no network; $library has to exist" \
                "rustup component add rust-src    (Debian's rustc: sudo apt-get install rust-src)" \
                "or copy that folder from a machine with the same rustc" "then ./install.sh"
    fi
}

install_jupyter() {
    step "Jupyter"
    if [[ -z $jupyter ]]; then
        local venv=$DATA_DIR/venv
        note "none that can run a notebook; making one in $venv"
        mkdir -p "$DATA_DIR"
        python3 -m venv --clear "$venv" || fail "python3 -m venv: failed" \
            "probably the package python3-venv is missing" \
            "sudo apt-get install python3-venv" "then ./install.sh"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            jupyterlab nbconvert jupyter_client nbclient ||
            fail "pip install jupyterlab: failed" "its own message is above; probably no network" \
                "run ./install.sh again" "or put a Jupyter with nbconvert on PATH, then ./install.sh"
        jupyter=$venv/bin/jupyter
    fi
    note "jupyter is $jupyter"
}

build_kernel() {
    step "The kernel: cargo build --release"
    # cargo knows best where it builds: CARGO_TARGET_DIR, a configuration file, or target/.
    target=$(cargo metadata --no-deps --format-version 1 --locked |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    [[ -n $target ]] || fail "cargo metadata: no target directory" "its own message is above" \
        "git status    (Cargo.toml and Cargo.lock as they were?)" "then ./install.sh"
    forkline=$target/release/forkline
    [[ -x $forkline ]] || note "the first time takes about 6 minutes on 2 cores"
    cargo build --release -p forkline-kernel --locked ||
        fail "cargo build: failed" "the compiler's message is above" \
            "no network? run ./install.sh again later; a linker error? ./install.sh without --no-apt"
    note "built in $target"
}

install_kernel() {
    step "forkline install"
    "$forkline" install "${install_arguments[@]}" ||
        fail "forkline install: failed" "its own message is above" "./install.sh --help"
    if [[ -n $prefix ]]; then
        # Jupyter looks into the prefix of its own Python only; the steps below look here too.
        export JUPYTER_PATH=$prefix/share/jupyter${JUPYTER_PATH:+:$JUPYTER_PATH}
    fi
    step "forkline template: build the prelude and its plugins once, so that no notebook has to"
    "$forkline" template || fail "forkline template: failed" "its own message is above" \
        "$forkline template --rebuild" "then ./install.sh"
    step "forkline doctor"
    "$forkline" doctor || fail "forkline doctor: something is missing" "the table above says what" \
        "the command in the last column of its line" "then ./install.sh"
}

quickstart() {
    [[ $run_quickstart == yes ]] || return 0
    step "The quickstart notebook, run from top to bottom"
    local source=notebooks/00-quickstart.ipynb folder=$target/quickstart
    [[ -e $source ]] || fail "$source: not there" "the clone is not complete" \
        "git checkout -- notebooks" "or ./install.sh --no-quickstart"
    mkdir -p "$folder"
    executed=$folder/00-quickstart.ipynb
    "$jupyter" nbconvert --log-level WARN --to notebook --execute \
        --ExecutePreprocessor.kernel_name="$kernel_name" --ExecutePreprocessor.timeout=300 \
        --output-dir "$folder" --output 00-quickstart.ipynb "$source" ||
        fail "$source: a cell failed" "nbconvert's message above shows the cell and its error" \
            "$forkline doctor" "or open it in JupyterLab: $jupyter lab $source"
    "$jupyter" nbconvert --log-level WARN --to html --output-dir "$folder" "$executed" ||
        fail "$executed: no HTML" "nbconvert's message is above" "./install.sh --no-quickstart"
    note "executed notebook  $executed"
    note "to read            $folder/00-quickstart.html"
}

goodbye() {
    step "forkline is installed ($SECONDS s)"
    local root=''
    [[ $EUID -ne 0 ]] || root=' --allow-root'
    if "$jupyter" lab --version >/dev/null 2>&1; then
        note "open JupyterLab:   $jupyter lab$root notebooks/"
    else
        note "to read and write: pip install jupyterlab, then jupyter lab$root notebooks/"
    fi
    [[ -z $prefix ]] || note "where Jupyter does not list it: export JUPYTER_PATH=$prefix/share/jupyter"
    note "VS Code:           open a notebook, Select Kernel, Jupyter Kernel, Rust (forkline)"
}

survey
plan
install_packages
install_rust
install_jupyter
build_kernel
install_kernel
quickstart
goodbye
