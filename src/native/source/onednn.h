// The few functions of oneDNN's C interface that are used here, declared by hand from its documentation (version 3) and
// looked up at run time, so that compiling needs nothing but a compiler.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

namespace dnnl {
namespace threadpool_interop {
// The interface through which oneDNN runs its loops. The order of the virtual functions is part of its binary
// interface; versions that do not know `wait` never call what follows `get_flags`.
struct threadpool_iface {
  virtual int get_num_threads() const = 0;
  virtual bool get_in_parallel() const = 0;
  virtual void parallel_for(int count, const std::function<void(int, int)> &task) = 0;
  virtual uint64_t get_flags() const = 0;
  virtual void wait() {}
  virtual ~threadpool_iface() = default;
};
}  // namespace threadpool_interop
}  // namespace dnnl

namespace onednn {
using ThreadPool = dnnl::threadpool_interop::threadpool_iface;
using Handle = void *;
using Constant = const void *;
using Dims = int64_t[12];

struct Argument {
  int index;
  Handle memory;
};

// Values of the library's enumerations.
enum { kCpu = 1, kF32 = 3, kAny = 1, kForwardTraining = 64, kDirect = 1, kUserScratchpad = 1 };
enum Query {
  kQuerySource = 129,
  kQueryDiffSource,
  kQueryWeights,
  kQueryDiffWeights,
  kQueryDestination,
  kQueryDiffDestination,
  kQueryWorkspace,
  kQueryScratchpad
};
enum Position {
  kSource = 1,
  kDestination = 17,
  kWeights = 33,
  kScratchpad = 80,
  kDiffSource = 129,
  kDiffDestination = 145,
  kDiffWeights = 161
};

// name, parameters; each returns a status, 0 for success, unless the second macro lists it
#define ONEDNN_FUNCTIONS(F)                                                                                            \
  F(engine_create, Handle *, int, size_t)                                                                              \
  F(set_max_cpu_isa, int)                                                                                              \
  F(threadpool_interop_stream_create, Handle *, Handle, void *)                                                        \
  F(stream_wait, Handle)                                                                                               \
  F(primitive_attr_create, Handle *)                                                                                   \
  F(primitive_attr_set_scratchpad_mode, Handle, int)                                                                   \
  F(memory_desc_create_with_tag, Handle *, int, const int64_t *, int, int)                                             \
  F(memory_desc_create_with_strides, Handle *, int, const int64_t *, int, const int64_t *)                             \
  F(memory_create, Handle *, Constant, Handle, void *)                                                                 \
  F(memory_set_data_handle, Handle, void *)                                                                            \
  F(convolution_forward_primitive_desc_create, Handle *, Handle, int, int, Constant, Constant, Constant, Constant,     \
    const int64_t *, const int64_t *, const int64_t *, const int64_t *, Constant)                                      \
  F(convolution_backward_data_primitive_desc_create, Handle *, Handle, int, Constant, Constant, Constant,              \
    const int64_t *, const int64_t *, const int64_t *, const int64_t *, Constant, Constant)                            \
  F(convolution_backward_weights_primitive_desc_create, Handle *, Handle, int, Constant, Constant, Constant, Constant, \
    const int64_t *, const int64_t *, const int64_t *, const int64_t *, Constant, Constant)                            \
  F(reorder_primitive_desc_create, Handle *, Constant, Handle, Constant, Handle, Constant)                             \
  F(primitive_create, Handle *, Constant)                                                                              \
  F(primitive_execute, Constant, Handle, int, const Argument *)                                                        \
  F(threadpool_interop_sgemm, char, char, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *,     \
    int64_t, float, float *, int64_t, void *)

struct Functions {
#define DECLARE(name, ...) int (*name)(__VA_ARGS__);
  ONEDNN_FUNCTIONS(DECLARE)
#undef DECLARE
  Constant (*primitive_desc_query_md)(Constant, int, int);
  size_t (*memory_desc_get_size)(Constant);
  int (*memory_desc_equal)(Constant, Constant);
};

// The library's functions, once `load` has returned true.
extern Functions lib;

// Look up the functions in the library at `path`, a copy of MindSpore's that nobody else uses: what is set in it, such
// as the instruction set, is set for these kernels alone.
bool load(const char *path);
}  // namespace onednn
