"""CurveZMQ: with keys in the connection file nothing goes over the wire in the clear."""

from __future__ import annotations

import time

import pytest
import zmq
from jupyter_client import KernelManager

import harness
from harness import FIRST_CELL, KERNEL_NAME, Client

pytestmark = pytest.mark.skipif(not zmq.has("curve"), reason="needs a pyzmq whose libzmq has CURVE")


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    client = harness.start(curve=True, cwd=tmp_path_factory.mktemp("cwd"))
    yield client
    client.close()


def silent(client: Client, seconds: float) -> bool:
    """Nothing comes back for a kernel_info request within the time."""
    client.send("kernel_info_request", expects_reply=False)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not client.log:
        client.pump(deadline - time.monotonic())
    return not client.log


def test_kernelspec_declares_curve(encrypted: Client) -> None:
    assert "curve" in encrypted.process.spec.metadata.get("supported_encryption", [])


def test_all_channels_work_encrypted(encrypted: Client) -> None:
    assert encrypted.kernel_info("shell").ok and encrypted.kernel_info("control").ok
    assert encrypted.heartbeat(b"secret ping") == b"secret ping"
    result = encrypted.execute('let name = input("name? ")?; println!("hello, {name}"); 42', answers=["Ada"]).expect_ok()
    result.equal((result.stdout, result.text), ("hello, Ada\n", "42"))


def test_client_without_keys_hears_nothing(encrypted: Client) -> None:
    stranger = Client(encrypted.process, server_key=False)
    try:
        assert silent(stranger, 2), stranger.describe()
        assert stranger.heartbeat(b"hello?", timeout=1) is None
    finally:
        stranger.disconnect()
    encrypted.fence()


def test_client_with_another_servers_key_hears_nothing(encrypted: Client) -> None:
    wrong, _ = zmq.curve_keypair()
    stranger = Client(encrypted.process, server_key=wrong)
    try:
        assert silent(stranger, 2), stranger.describe()
    finally:
        stranger.disconnect()
    encrypted.fence()


def test_wrong_signature_is_dropped_under_encryption_too(encrypted: Client) -> None:
    request, frames = encrypted.frames("kernel_info_request")
    frames[1] = b"0" * 64
    encrypted.sockets["shell"].send_multipart(frames)
    encrypted.fence("shell")
    assert encrypted.by_parent.get(request, []) == []


def test_jupyter_client_can_require_encryption(tmp_path) -> None:
    if not hasattr(KernelManager, "transport_encryption"):
        pytest.skip("needs jupyter_client 8.9 or newer")
    manager = KernelManager(kernel_name=KERNEL_NAME, transport_encryption="required")
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    try:
        assert "curve_publickey" in manager.get_connection_info()
        client.wait_for_ready(timeout=30)
        reply = client.execute_interactive('println!("encrypted");', timeout=FIRST_CELL, output_hook=lambda message: None)
        assert reply["content"]["status"] == "ok", reply["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
