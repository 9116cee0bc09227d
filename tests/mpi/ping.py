"""The measurements of ranks/src/timing.rs, with mpi4py: buffers under the names of `ping.c`, and objects."""

import sys

import numpy as np
from mpi4py import MPI

ROUNDS = 15
SIZES = [(8, 4000), (1024, 4000), (16384, 1000), (262144, 200), (1048576, 50), (16777216, 4)]

world = MPI.COMM_WORLD
rank, size = world.Get_rank(), world.Get_size()


def best(name, bytes, times, of_two, body):
    shortest = 1e9
    for _ in range(ROUNDS):
        world.Barrier()
        start = MPI.Wtime()
        if rank < 2 or not of_two:
            body()
        shortest = min(shortest, MPI.Wtime() - start)
    if rank == 0:
        print(f"{name}\t{bytes}\t{shortest / times * 1e9:.1f}", flush=True)


def ping_pong(data, calls):
    for _ in range(calls):
        if rank == 0:
            world.Send(data, 1)
            world.Recv(data, 1)
        else:
            world.Recv(data, 0)
            world.Send(data, 0)


def objects(value, calls):
    for _ in range(calls):
        if rank == 0:
            world.send(value, 1)
            world.recv(source=1)
        else:
            world.send(world.recv(source=0), 0)


def repeated(call, calls):
    for _ in range(calls):
        call()


for n, calls in SIZES:
    data = np.ones(n, dtype=np.uint8)
    best("ping-pong", n, 2 * calls, True, lambda: ping_pong(data, calls))
for n, calls in SIZES:
    mine, total = np.ones(n // 8), np.zeros(n // 8)
    best("allreduce", n, calls, False, lambda: repeated(lambda: world.Allreduce(mine, total), calls))
    data = np.ones(n, dtype=np.uint8)
    best("bcast", n, calls, False, lambda: repeated(lambda: world.Bcast(data), calls))
    out, into = np.ones(n * size, dtype=np.uint8), np.zeros(n * size, dtype=np.uint8)
    best("alltoall", n, calls, False, lambda: repeated(lambda: world.Alltoall(out, into), calls))
best("object text", 20, 4000, True, lambda: objects("x" * 20, 2000))
best("object list", 8000, 4000, True, lambda: objects(list(range(1000)), 2000))
sys.exit(0)
