#!/usr/bin/env bash
# Runs all that a commit must pass, stage by stage, or the stages that are named:
#
#   tests/run.sh                     everything
#   tests/run.sh fmt clippy cargo    what needs no Jupyter
#   tests/run.sh conformance         one suite of pytest (installs for the tests first)
#
# The kernel is installed under a prefix and a data folder of the tests' own: the user's own
# installation is neither used nor changed. FORKLINE_TESTS_NO_SKIP=1 makes every skip a failure.
# The last line counts the tests of all stages; a stage that counts nothing is one test.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/forkline
readonly VENV=$CACHE/test-venv
readonly PREFIX=$CACHE/test-prefix
readonly LOGS=$CACHE/test-logs
# Tests that run at once: one more than there are processors, and no more than memory is cheap for.
WORKERS=$(($(nproc) < 8 ? $(nproc) + 1 : 8))
readonly WORKERS
# No stage takes nearly as long; one that hangs must not hold up the others for ever.
readonly STAGE_LIMIT=45m

readonly STAGES=(fmt clippy cargo install packs venv conformance robustness brokers debugger browser mpi gpu cluster notebooks tidy)
readonly SUITES=(conformance robustness brokers debugger browser mpi gpu cluster notebooks tidy)
# Workspaces of their own: the MPI plugin, and the program that its tests run.
readonly MPI_CRATES=(prelude/mpi tests/mpi/ranks)
# Another one: the GPU plugins, which build without a GPU.
readonly GPU_WORKSPACE=prelude/gpu
# The crates of the packs `remote` and `broker`, each in a workspace of its own.
readonly PACK_CRATES=(prelude/remote prelude/broker)

# ---- the stages ---------------------------------------------------------------------------------

limited() { timeout --kill-after=10 "$STAGE_LIMIT" "$@"; }

has_mpi() { command -v mpicc >/dev/null && command -v mpiexec >/dev/null; }

stage_fmt() {
    cargo fmt --all --check
    local crate
    for crate in "${MPI_CRATES[@]}"; do
        (cd "$crate" && cargo fmt --check)
    done
    (cd "$GPU_WORKSPACE" && cargo fmt --all --check)
    for crate in "${PACK_CRATES[@]}"; do
        (cd "$crate" && cargo fmt --all --check)
    done
    (cd tests/gpu/rates && cargo fmt --check)
}

# gpu_cargo ARGUMENTS...: cargo for the plugins, linked against empty scripts in place of the drivers.
gpu_cargo() {
    local target=${CARGO_TARGET_DIR:-$PWD/target}/gpu
    (cd "$GPU_WORKSPACE" && CARGO_TARGET_DIR=$target CUDA_LIBRARY_PATH=$PWD/stubs limited cargo "$@")
}

# pack_cargo ARGUMENTS...: cargo for the crates of packs.
pack_cargo() {
    # With the programs of tests/mpi and tests/gpu: the prelude below all of them is compiled once.
    local target=${CARGO_TARGET_DIR:-$PWD/target}/mpi
    # Their documentation's examples link the prelude's dylib, and cargo tells them of the compiler's libraries only where
    # the crate itself is one.
    local crate code=0
    for crate in "${PACK_CRATES[@]}"; do
        (cd "$crate" && CARGO_TARGET_DIR=$target \
            LD_LIBRARY_PATH=$(rustc --print target-libdir)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} limited cargo "$@") || code=$?
    done
    return "$code"
}

stage_clippy() {
    cargo clippy --release --workspace --all-targets --locked -- -D warnings
    gpu_cargo clippy --release --workspace --all-targets --locked -- -D warnings
    pack_cargo clippy --release --workspace --all-targets --locked -- -D warnings
    if ! has_mpi; then
        echo "NOT RUN for ${MPI_CRATES[*]}: MPI is not installed"
        return
    fi
    local crate target=${CARGO_TARGET_DIR:-$PWD/target}/mpi
    for crate in "${MPI_CRATES[@]}"; do
        (cd "$crate" && CARGO_TARGET_DIR=$target cargo clippy --release --locked -- -D warnings)
    done
}

# The prelude's tests of arrays and kernels run on OpenCL through the plugins, where there is an OpenCL.
stage_cargo() {
    local plugins=${CARGO_TARGET_DIR:-$PWD/target}/gpu/release
    gpu_cargo build --release --workspace --locked
    # Each package for itself: together they would have the features of both, and all of the kernel's crates would be compiled once more.
    local package code=0
    for package in forkline-kernel forkline; do
        FORKLINE_OPENCL_PLUGIN=$plugins/libforkline_opencl.so FORKLINE_TRANSLATOR=$plugins/libforkline_translate.so \
            limited cargo test --release -p "$package" --locked --no-fail-fast || code=$?
    done
    pack_cargo test --release --workspace --locked --no-fail-fast || code=$?
    return "$code"
}

stage_install() {
    cargo build --release -p forkline-kernel --locked
    "$FORKLINE_BIN" install --prefix "$PREFIX"
    limited "$FORKLINE_BIN" template
}

# In a notebook the first %load of a pack builds it, which takes longer than a test lets a cell run.
stage_packs() {
    limited "$FORKLINE_BIN" pack ndarray oci web remote broker lambda queue
}

stage_venv() {
    if cmp -s tests/requirements.txt "$VENV/requirements.txt" && "$VENV/bin/python" -c 'import zmq'; then
        echo "$VENV is up to date"
        return
    fi
    rm -rf "$VENV"
    local python
    for python in python3 /usr/bin/python3 none; do
        if [[ $python == none ]]; then
            echo "test venv: no python3 can make one"
            echo "why: tried python3 and /usr/bin/python3; probably the module venv or ensurepip is missing"
            echo "do:  sudo apt-get install python3-venv"
            return 1
        fi
        if "$python" -m venv --clear "$VENV"; then
            break
        fi
    done
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
    # Copied last: only a venv that is complete counts as up to date.
    cp tests/requirements.txt "$VENV/requirements.txt"
}

# suite NAME ARGUMENTS...: the tests of a folder, one after the other.
suite() {
    limited "$VENV/bin/python" -m pytest "tests/$1" --color=no --durations=5 \
        -o cache_dir="$CACHE/pytest" "${@:2}"
}
# side_by_side NAME: several tests at once, since a kernel mostly waits for one compiler; then those that need the machine,
# or what all kernels share, for themselves.
side_by_side() {
    local code=0
    suite "$1" -n "$WORKERS" --dist loadfile --no-loadscope-reorder -m "not alone" || code=$?
    suite "$1" -m alone || [[ $? -eq 5 ]] || code=1  # 5: there are none
    return "$code"
}

stage_conformance() { side_by_side conformance; }
stage_robustness() { side_by_side robustness; }
# Each module starts a Redis and a RabbitMQ of its own.
stage_brokers() {
    tests/services.sh brokers || true
    side_by_side brokers
}
has_debugger() {
    local -a found
    mapfile -t found < <(compgen -c lldb-dap)
    [[ ${#found[@]} -gt 0 ]]
}
# bring PACKAGES...: installs them where that is possible.
bring() {
    if [[ $# -gt 0 && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
        DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
            install -y "$@" || echo "NOT INSTALLED: $*"
    fi
}
# The kernelspec says whether there is a debugger, so it is written again once there is one.
bring_debugger() {
    has_debugger || bring lldb-19
    if has_debugger; then
        "$FORKLINE_BIN" install --prefix "$PREFIX"
    else
        echo "NOT RUN: there is no lldb-dap (sudo apt-get install lldb-19)"
    fi
}
stage_debugger() {
    bring_debugger
    suite debugger
}
# JupyterLab and what drives the browser are in the venv; the browser is the system's.
stage_browser() {
    bring_debugger
    command -v chromium >/dev/null || bring chromium
    command -v chromium >/dev/null || echo "NOT RUN: there is no chromium (sudo apt-get install chromium)"
    suite browser
}
stage_mpi() {
    has_mpi || echo "NOT RUN: MPI is not installed (sudo apt install openmpi-bin libopenmpi-dev libclang-dev)"
    suite mpi
}
# The plugins' own tests stand here and not in the stage cargo, because here there is an NVRTC.
stage_gpu() {
    local nvrtc code=0
    nvrtc=$(compgen -G "$VENV/lib/python3*/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12") || nvrtc=
    [[ -n $nvrtc ]] || echo "NOT RUN: what compiles CUDA C++ (pip install nvidia-cuda-nvrtc-cu12)"
    FORKLINE_NVRTC=$nvrtc gpu_cargo test --release --workspace --locked --no-fail-fast || code=$?
    suite gpu || code=$?
    return "$code"
}
# Two hosts and a Slurm cluster, made on this machine: what they are made of is installed where that is possible.
stage_cluster() {
    local -a missing=()
    command -v ip >/dev/null || missing+=(iproute2)
    [[ -x /usr/sbin/sshd ]] || missing+=(openssh-server)
    command -v srun >/dev/null && [[ -x /usr/sbin/slurmd ]] || missing+=(slurm-wlm)
    bring "${missing[@]}"
    suite cluster
}
# A notebook of chapter 7 uses what other makers have for containers. What is not there is said, and its tests skip.
stage_notebooks() {
    tests/services.sh containers || true
    side_by_side notebooks
}
stage_tidy() { suite tidy; }

# ---- counting -----------------------------------------------------------------------------------

# counts LOG: "passed failed skipped", summed over the result lines of cargo and of pytest.
counts() {
    awk '
        function number(text, word,    part) {
            if (!match(text, "[0-9]+ " word)) return 0
            part = substr(text, RSTART, RLENGTH)
            sub(/ .*/, "", part)
            return part + 0
        }
        /^test result: / {
            passed += number($0, "passed"); failed += number($0, "failed")
            skipped += number($0, "ignored")
        }
        # "=== 3 passed, 1 skipped in 2.10s ===", without the marks if pytest is quiet.
        /^(=+ )?[0-9]+ [a-z]+.* in [0-9.]+s/ {
            passed += number($0, "passed") + number($0, "xpassed")
            failed += number($0, "failed") + number($0, "error")
            skipped += number($0, "skipped") + number($0, "xfailed")
        }
        END { print passed + 0, failed + 0, skipped + 0 }
    ' "$1"
}

total_passed=0
total_failed=0
total_skipped=0
rows=()

# record STAGE SECONDS RESULT PASSED FAILED SKIPPED
record() {
    rows+=("$(printf '%-12s %7s  %-7s %7s %7s %8s' "$@")")
    total_passed=$((total_passed + $4))
    total_failed=$((total_failed + $5))
    total_skipped=$((total_skipped + $6))
}

# run_stage STAGE: runs it, keeps its output, records how it ended; sets stage_code.
#
# Never call it in a condition: bash would ignore `set -e` inside the stage.
run_stage() {
    local stage=$1 log=$LOGS/$1.log started=$SECONDS passed failed skipped result
    printf '\n==> %s\n' "$stage"
    set +e
    (
        set -e
        "stage_$stage"
    ) 2>&1 | tee "$log"
    stage_code=${PIPESTATUS[0]}
    set -e
    read -r passed failed skipped < <(counts "$log")
    if [[ $stage_code -eq 0 ]]; then
        result=ok
        [[ $((passed + failed + skipped)) -gt 0 ]] || passed=1
    else
        result=FAILED
        [[ $failed -gt 0 ]] || failed=1
    fi
    record "$stage" "$((SECONDS - started))" "$result" "$passed" "$failed" "$skipped"
}

# ---- what to run --------------------------------------------------------------------------------

is_one_of() { # WORD WORDS...
    local word
    for word in "${@:2}"; do
        [[ $word != "$1" ]] || return 0
    done
    return 1
}

for stage in "$@"; do
    if ! is_one_of "$stage" "${STAGES[@]}"; then
        printf '%s: no such stage\nwhy: the stages are: %s\ndo:  tests/run.sh    (all of them)\n' \
            "$stage" "${STAGES[*]}" >&2
        exit 2
    fi
done

wanted=()
for stage in "${STAGES[@]}"; do
    if [[ $# -eq 0 ]] || is_one_of "$stage" "$@"; then
        wanted+=("$stage")
    elif is_one_of "$stage" install packs venv; then
        # A suite that is named brings what it stands on.
        for suite in "${SUITES[@]}"; do
            if is_one_of "$suite" "$@"; then
                wanted+=("$stage")
                break
            fi
        done
    fi
done

command -v cargo >/dev/null || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
target=$(cargo metadata --no-deps --format-version 1 --locked |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
mkdir -p "$LOGS"
export FORKLINE_BIN=$target/release/forkline
export FORKLINE_HOME=$CACHE/test-home
export JUPYTER_PATH=$PREFIX/share/jupyter
export PATH=$VENV/bin:$PATH

any_failed=no
stopped_by=
for stage in "${wanted[@]}"; do
    if [[ -n $stopped_by ]]; then
        record "$stage" - "not run" 0 0 1
    elif is_one_of "$stage" "${SUITES[@]}" && ! compgen -G "tests/$stage/test_*.py" >/dev/null; then
        printf '\n==> %s\nskipped: there is no tests/%s/test_*.py\n' "$stage" "$stage"
        record "$stage" 0 skipped 0 0 1
    else
        run_stage "$stage"
        [[ $stage_code -ne 0 ]] || continue
        any_failed=yes
        # Without a kernel or a pytest the suites would only repeat that it is not there.
        ! is_one_of "$stage" install venv || stopped_by=$stage
    fi
done

printf '\n%-12s %7s  %-7s %7s %7s %8s\n' stage seconds result passed failed skipped
printf '%s\n' "${rows[@]}"
[[ -z $stopped_by ]] || printf 'stopped after %s; its output is above and in %s\n' "$stopped_by" "$LOGS"
if [[ -n ${FORKLINE_TESTS_NO_SKIP:-} && $total_skipped -gt 0 ]]; then
    echo "FORKLINE_TESTS_NO_SKIP is set: a skip is a failure"
    any_failed=yes
fi
printf 'forkline: %d passed, %d failed, %d skipped\n' "$total_passed" "$total_failed" "$total_skipped"
[[ $any_failed == no ]]
