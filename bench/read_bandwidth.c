// How fast the machine's memory can be read: sums a buffer far larger than the caches, several times.
//
// usage: read_bandwidth MIB N_READS HUGE      HUGE 1 asks for pages of 2 MiB, as `generate` does for its weights, 0 for
//                                             pages of 4 KiB
// Prints the rate of every read in GB/s (10^9 bytes), one a line. Threads: OMP_NUM_THREADS.
// The sum is split into eight of sixteen floats each, so that waiting for memory is all that takes time.

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <omp.h>
#include <sys/mman.h>

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: read_bandwidth MIB N_READS HUGE\n");
        return 64;
    }
    size_t n_bytes = (size_t)atol(argv[1]) << 20, n = n_bytes / sizeof(float);
    int n_reads = atoi(argv[2]);
    float *buffer = aligned_alloc((size_t)2 << 20, n_bytes);
    if (!buffer || madvise(buffer, n_bytes, atoi(argv[3]) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE)) {
        perror("read_bandwidth");
        return 69;
    }
    // Written by the threads that will read it, and not zero: a page never written is one shared page of zeros.
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) buffer[i] = 1;
    for (int read = 0; read < n_reads; read++) {
        double started = omp_get_wtime();
        double sum = 0;
#pragma omp parallel reduction(+ : sum)
        {
            typedef float lanes __attribute__((vector_size(64)));
            size_t n_lanes = n / 16, share = n_lanes / omp_get_num_threads() / 8 * 8;
            const lanes *mine = (const lanes *)buffer + share * omp_get_thread_num();
            lanes sums[8] = {0};
            for (size_t i = 0; i < share; i += 8)
                for (int k = 0; k < 8; k++) sums[k] += mine[i + k];
            for (int k = 0; k < 8; k++)
                for (int j = 0; j < 16; j++) sum += sums[k][j];
        }
        double seconds = omp_get_wtime() - started;
        // Using the sum keeps the compiler from leaving it out.
        if (sum <= 0) return 70;
        printf("%.2f\n", n_bytes / 1e9 / seconds);
    }
    return 0;
}
