/* The measurements of ranks/src/timing.rs, in C: the shortest of some rounds, in nanoseconds for one call or one way. */

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 15 };

static int rank;

static void trips(char *data, int bytes, int n) {
    for (int i = 0; i < n; i++) {
        if (rank == 0) {
            MPI_Send(data, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
            MPI_Recv(data, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        } else {
            MPI_Recv(data, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            MPI_Send(data, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
        }
    }
}

int main(int argc, char **argv) {
    static const int sizes[][2] = {{8, 5000}, {1024, 5000}, {16384, 1000}, {262144, 200}, {4194304, 20}};
    int provided;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    for (int k = 0; k < 5; k++) {
        int bytes = sizes[k][0], n = sizes[k][1];
        char *data = malloc(bytes);
        memset(data, 1, bytes);
        double shortest = 1e9;
        for (int round = 0; round < ROUNDS; round++) {
            MPI_Barrier(MPI_COMM_WORLD);
            double start = MPI_Wtime();
            if (rank < 2) trips(data, bytes, n);
            double time = MPI_Wtime() - start;
            if (time < shortest) shortest = time;
        }
        if (rank == 0) printf("send_slice\t%d\t%.1f\n", bytes, shortest / (2 * n) * 1e9);
        free(data);
    }
    double mine[8] = {1, 1, 1, 1, 1, 1, 1, 1}, sum[8], shortest = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime();
        for (int i = 0; i < 2000; i++) MPI_Allreduce(mine, sum, 8, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
        double time = MPI_Wtime() - start;
        if (time < shortest) shortest = time;
    }
    if (rank == 0) printf("allreduce\t64\t%.1f\n", shortest / 2000 * 1e9);
    return MPI_Finalize();
}
