/* The measurements of ranks/src/timing.rs, in C: the shortest of some rounds, in nanoseconds for one call or one way. */

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 15, N_SIZES = 6 };
static const int sizes[N_SIZES][2] = {{8, 4000}, {1024, 4000}, {16384, 1000}, {262144, 200}, {1048576, 50}, {16777216, 4}};

static int rank, size;
static char *out, *into;
static double *mine, *sum;

static void ping_pong(int bytes, int calls) {
    for (int i = 0; i < calls; i++) {
        if (rank == 0) {
            MPI_Send(out, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
            MPI_Recv(out, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        } else {
            MPI_Recv(out, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            MPI_Send(out, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
        }
    }
}

static void allreduce(int bytes, int calls) {
    for (int i = 0; i < calls; i++) MPI_Allreduce(mine, sum, bytes / 8, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

static void bcast(int bytes, int calls) {
    for (int i = 0; i < calls; i++) MPI_Bcast(out, bytes, MPI_BYTE, 0, MPI_COMM_WORLD);
}

static void alltoall(int bytes, int calls) {
    for (int i = 0; i < calls; i++) MPI_Alltoall(out, bytes, MPI_BYTE, into, bytes, MPI_BYTE, MPI_COMM_WORLD);
}

static void measure(const char *name, void (*body)(int, int), int ways, int of_two) {
    for (int k = 0; k < N_SIZES; k++) {
        int bytes = sizes[k][0], calls = sizes[k][1];
        double shortest = 1e9;
        for (int round = 0; round < ROUNDS; round++) {
            MPI_Barrier(MPI_COMM_WORLD);
            double start = MPI_Wtime();
            if (rank < 2 || !of_two) body(bytes, calls);
            double time = MPI_Wtime() - start;
            if (time < shortest) shortest = time;
        }
        if (rank == 0) printf("%s\t%d\t%.1f\n", name, bytes, shortest / (ways * calls) * 1e9);
    }
}

int main(int argc, char **argv) {
    int provided, most = sizes[N_SIZES - 1][0];
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (argc > 1) {
        /* Only begins and ends, for the time of a launch. */
        printf("rank %d of %d\n", rank, size);
        return MPI_Finalize();
    }
    out = malloc((size_t)most * size);
    into = malloc((size_t)most * size);
    mine = malloc(most);
    sum = malloc(most);
    memset(out, 1, (size_t)most * size);
    memset(into, 0, (size_t)most * size);
    memset(sum, 0, most);
    for (int i = 0; i < most / 8; i++) mine[i] = 1;
    measure("ping-pong", ping_pong, 2, 1);
    measure("allreduce", allreduce, 1, 0);
    measure("bcast", bcast, 1, 0);
    measure("alltoall", alltoall, 1, 0);
    return MPI_Finalize();
}
