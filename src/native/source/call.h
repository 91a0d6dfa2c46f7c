// How MindSpore calls an operator of its kind "aot": with the addresses, ranks, shapes and types of its inputs and then
// of its outputs. It returns 0, or another number for an error.
#pragma once
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>

#include "threads.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))

struct Call {
  int count;
  void **values;
  int *ranks;
  int64_t **shapes;

  template <class T = float>
  T *at(int i) const {
    return static_cast<T *>(values[i]);
  }
  const int64_t *shape(int i) const { return shapes[i]; }
  int64_t size(int i) const {
    int64_t size = 1;
    for (int k = 0; k < ranks[i]; k++) size *= shapes[i][k];
    return size;
  }
};

template <class Kernel>
int run(const char *name, const Call &call, Kernel kernel) {
  try {
    std::lock_guard<std::mutex> turn(threads::turn());
    kernel(call);
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
    return 1;
  }
}

// OPERATOR(Name) { body that uses `call` }
#define OPERATOR(name)                                                                                     \
  static void name##_kernel(const Call &call);                                                             \
  EXPORTED int name(int count, void **values, int *ranks, int64_t **shapes, const char **, void *, void *) { \
    return run(#name, Call{count, values, ranks, shapes}, name##_kernel);                                  \
  }                                                                                                        \
  static void name##_kernel(const Call &call)
