// The threads on which all kernels of this library run, one kernel at a time.
#pragma once
#include <cstddef>
#include <functional>
#include <mutex>

#include "onednn.h"

namespace threads {
// Start `count` - 1 threads; the thread that runs a kernel is the remaining one.
void start(int count);

int count();

// task(thread) once on each thread, together; returns when all are done.
void each(const std::function<void(int)> &task);

// task(i) for i in [0, n), in contiguous parts of equal size: which thread computes what never changes.
void loop(int64_t n, const std::function<void(int64_t)> &task);

// task(begin, end) with the contiguous part of [0, n) of each thread.
void parts(int64_t n, const std::function<void(int64_t, int64_t)> &task);

// For oneDNN: all threads, and the calling one alone.
onednn::ThreadPool *all();
onednn::ThreadPool *alone();

// Two kernels at the same time would halve each other's speed: hold this while one runs.
std::mutex &turn();

// Memory that lives from one kernel to the next, at least `floats` long; `slot` tells apart what is needed together.
// Only for the holder of `turn`.
float *scratch(int slot, size_t floats);
}  // namespace threads
