// Matrix products on the calling thread.
#pragma once
#include "threads.h"

// product [m, n] = a [m, k] b [k, n] + beta product; 'T' says that a factor is stored transposed; ld: length of its rows
inline void multiply(char transpose_a, char transpose_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                     const float *b, int64_t ldb, float beta, float *product, int64_t ld) {
  onednn::lib.threadpool_interop_sgemm(transpose_a, transpose_b, m, n, k, 1.0f, a, lda, b, ldb, beta, product, ld,
                                       threads::alone());
}
