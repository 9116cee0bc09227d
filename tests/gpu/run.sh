#!/usr/bin/env bash
# Runs the GPU side of forkline on a machine with an NVIDIA card, and prints tables for BENCHMARKS.md:
#
#   tests/gpu/run.sh                  builds what is needed, then runs it here
#   tests/gpu/run.sh pack FOLDER      builds, and puts all that a run needs into FOLDER
#   FOLDER/run.sh                     runs what was packed: no Rust, no network, nothing of the repository
#   … DEVICE [MEBIBYTES]              another device than cuda, arrays of another size than 256 MiB
#
# First results on the device against the processor in higher precision, then rates, then the unit tests of the arrays and
# kernels on every device that is there. Under 8 minutes. Where there is no such device it says NOT RUN and ends with 3.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

pack() {
    local folder=$1 root target nvrtc
    root=$(cd "$here/../.." && pwd)
    target=${CARGO_TARGET_DIR:-$root/target}
    mkdir -p "$folder"
    # Quiet, but for errors; what was built before is not built again.
    (cd "$root/prelude/gpu" && CARGO_TARGET_DIR=$target/gpu CUDA_LIBRARY_PATH=$PWD/stubs \
        cargo build --release --workspace --locked --quiet)
    # In one folder with the program of tests/mpi: the prelude below both is then compiled once.
    (cd "$here/rates" && CARGO_TARGET_DIR=$target/mpi \
        cargo rustc --release --locked --quiet -- -C prefer-dynamic)
    local unit
    # As tests/run.sh asks for it: with one package alone cargo takes fewer features, and compiles all of it again.
    unit=$(cd "$root" && cargo test --release --workspace --lib --locked --no-run --message-format=json --quiet |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    cp "$target/gpu/release/"libforkline_{cuda,opencl,translate}.so "$folder"
    cp "$target/mpi/release/rates" "$folder"
    cp "$target/mpi/release/deps/"libforkline.so "$folder"
    cp "$(rustc --print target-libdir)"/libstd-*.so "$folder"
    cp "$unit" "$folder/unit"
    # Errors of kernels name columns, which are read in the sources, by paths from the repository's root.
    mkdir -p "$folder/prelude/src"
    cp -r "$root/prelude/src/gpu" "$folder/prelude/src"
    # What compiles CUDA C++: the wheel of the tests' own environment, or what FORKLINE_NVRTC names.
    nvrtc=${FORKLINE_NVRTC:-$(compgen -G "${XDG_CACHE_HOME:-$HOME/.cache}/forkline/test-venv/lib/python3*/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12" || true)}
    if [[ -n $nvrtc ]]; then
        cp "$(dirname "$nvrtc")"/libnvrtc*.so* "$folder"
    else
        echo "no NVRTC is packed: tests/run.sh venv brings it; the GPU machine must have one"
    fi
    strip --strip-debug "$folder"/libforkline*.so "$folder/unit" "$folder/rates" 2>/dev/null || true
    cp "${BASH_SOURCE[0]}" "$folder/run.sh"
    du -sh "$folder" | sed 's/\t/ in /'
}

run() {
    local folder=$1 device=${2:-cuda} mebibytes=${3:-256} code=0
    export LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export FORKLINE_CUDA_PLUGIN=$folder/libforkline_cuda.so
    export FORKLINE_OPENCL_PLUGIN=$folder/libforkline_opencl.so
    export FORKLINE_TRANSLATOR=$folder/libforkline_translate.so
    local nvrtc
    for nvrtc in "$folder"/libnvrtc.so.*; do
        [[ ! -e $nvrtc ]] || export FORKLINE_NVRTC=$nvrtc
    done
    if [[ $device == cuda ]] && ! ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1' &&
        ! compgen -G '/usr/lib*/**/libcuda.so.1' >/dev/null; then
        echo "NOT RUN: there is no CUDA driver here (libcuda.so.1)"
        exit 3
    fi
    timeout 240 "$folder/rates" "$device" "$mebibytes" || code=$?
    echo "Unit tests on every device:"
    echo
    (cd "$folder" && timeout 200 ./unit gpu:: --test-threads 4 2>&1 | tail -n 40) || code=$?
    return "$code"
}

if [[ ${1:-} == pack ]]; then
    pack "${2:?tests/gpu/run.sh pack FOLDER}"
elif [[ -x $here/rates && -f $here/rates ]]; then
    run "$here" "$@"
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    pack "$folder"
    run "$folder" "$@"
fi
