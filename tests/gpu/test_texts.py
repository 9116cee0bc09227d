"""Every text that arrays and kernels generate for CUDA compiles, for three generations of cards and without one."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest


@pytest.mark.timeout(1200)
def test_generated_texts_compile_for_cards(
    folder: Path, of_packed: dict[str, str], check: Path, nvrtc: str, tmp_path: Path
) -> None:
    # The prelude's own tests make all texts; those for cards come with the tests of what is made for wide devices.
    environment = of_packed | {"FORKLINE_GPU_TEXTS": str(tmp_path)}
    done = subprocess.run([folder / "unit", "gpu::"], env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    texts = sorted(tmp_path.glob("*.cu"))
    has_opencl = "many work items" in subprocess.run(
        [folder / "unit", "gpu::tests::elementwise::ranges", "--nocapture"], env=environment, capture_output=True, text=True, check=False
    ).stdout
    if not has_opencl:
        pytest.skip("NOT RUN: without OpenCL the tests make no texts for wide devices")
    assert len(texts) > 100, [text.name for text in texts]

    def compiled(text: Path) -> str:
        command = [check, text, "75", "80", "90"]
        result = subprocess.run(
            command, env=os.environ | {"FORKLINE_NVRTC": nvrtc}, capture_output=True, text=True, timeout=120, check=False
        )
        return "" if result.returncode == 0 else f"{text.name}: {result.stderr}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [words for words in pool.map(compiled, texts) if words]
    assert not wrong, "\n".join(wrong[:5])
