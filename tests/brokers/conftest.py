"""A kernel with the application of these tests, and a broker that it has started: Redis and RabbitMQ, one after the other."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from harness import Client
from queues import BUILD_SECONDS, DEFINITIONS, PLACES, PROGRAMS, Broker


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest, keeper: Any) -> Broker:
    program = PROGRAMS[request.param]
    if shutil.which(program, path=PLACES + os.pathsep + os.environ["PATH"]) is None:
        pytest.skip(f"NOT RUN: {program} is not installed (tests/services.sh brokers)")
    kernel = keeper.get()
    if not kernel.execute("let _known: Option<Begun> = None;").ok:
        kernel.forget()
        kernel.run("%load broker", timeout=BUILD_SECONDS)
        kernel.run(DEFINITIONS, timeout=120)
    return Broker(kernel, request.param)


@pytest.fixture
def queue(broker: Broker) -> Client:
    """A kernel with an application `app` whose queue nobody else has; its broker is `server`."""
    return broker.fresh()
