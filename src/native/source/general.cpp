#include "general.h"

#include <array>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "threads.h"

namespace general {
namespace {
using onednn::Constant;
using onednn::Handle;
using onednn::lib;

void check(int status, const char *what) {
  if (status != 0) throw std::runtime_error(std::string("oneDNN: ") + what + ": status " + std::to_string(status));
}

Handle engine() {
  static Handle engine = [] {
    Handle e;
    check(lib.engine_create(&e, onednn::kCpu, 0), "engine");
    return e;
  }();
  return engine;
}

Handle stream() {
  static Handle stream = [] {
    Handle s;
    check(lib.threadpool_interop_stream_create(&s, engine(), threads::all()), "stream");
    return s;
  }();
  return stream;
}

// The library is not to allocate: it gets scratch memory of ours.
Handle attributes() {
  static Handle attributes = [] {
    Handle a;
    check(lib.primitive_attr_create(&a), "attributes");
    check(lib.primitive_attr_set_scratchpad_mode(a, onednn::kUserScratchpad), "attributes");
    return a;
  }();
  return attributes;
}

Handle memory(Constant description) {
  Handle m;
  check(lib.memory_create(&m, description, engine(), nullptr), "memory");
  return m;
}

size_t floats(Constant description) { return lib.memory_desc_get_size(description) / sizeof(float) + 1; }

// A primitive and its scratch memory.
class Primitive {
 public:
  Primitive(Constant description, int slot) : slot_(slot) {
    check(lib.primitive_create(&primitive_, description), "primitive");
    Constant scratch = lib.primitive_desc_query_md(description, onednn::kQueryScratchpad, 0);
    size_ = floats(scratch);
    scratch_ = memory(scratch);
  }

  void run(onednn::Argument a, onednn::Argument b, onednn::Argument c = {0, nullptr}) {
    check(lib.memory_set_data_handle(scratch_, threads::scratch(slot_, size_)), "memory");
    const onednn::Argument arguments[] = {{onednn::kScratchpad, scratch_}, a, b, c};
    check(lib.primitive_execute(primitive_, stream(), c.memory == nullptr ? 3 : 4, arguments), "execution");
    check(lib.stream_wait(stream()), "execution");
  }

 private:
  Handle primitive_, scratch_;
  size_t size_;
  const int slot_;
};

// A tensor as it lies in memory outside, and in the layout that the library prefers.
class Tensor {
 public:
  Tensor(Constant outside, Constant inside, int slot, bool is_input)
      : outside_(memory(outside)), inside_(memory(inside)), size_(floats(inside)), slot_(slot) {
    if (lib.memory_desc_equal(outside, inside)) return;
    Handle description;
    check(lib.reorder_primitive_desc_create(&description, is_input ? outside : inside, engine(),
                                            is_input ? inside : outside, engine(), attributes()),
          "reorder");
    reorder_ = std::make_unique<Primitive>(description, 7);
  }

  Handle read(const float *values) {
    Handle at = place(const_cast<float *>(values));
    if (reorder_) reorder_->run({onednn::kSource, outside_}, {onednn::kDestination, inside_});
    return at;
  }

  Handle place(float *values) {
    check(lib.memory_set_data_handle(outside_, values), "memory");
    check(lib.memory_set_data_handle(inside_, reorder_ ? threads::scratch(slot_, size_) : values), "memory");
    return inside_;
  }

  void write() {
    if (reorder_) reorder_->run({onednn::kSource, inside_}, {onednn::kDestination, outside_});
  }

 private:
  Handle outside_, inside_;
  size_t size_;
  const int slot_;
  std::unique_ptr<Primitive> reorder_;
};

struct Descriptions {
  Handle map[2], weight[2], result[2];  // as it lies outside; any layout
  int64_t strides[2], dilations[2], before[2], after[2];

  explicit Descriptions(const Convolution &c) {
    describe(map, {c.batch, c.in_channels, c.height, c.width});
    describe(result, {c.batch, c.out_channels, c.out_height, c.out_width});
    if (c.groups == 1) {
      describe(weight, {c.out_channels, c.in_channels, c.kernel_height, c.kernel_width});
    } else {
      describe(weight, {c.groups, c.out_channels / c.groups, c.in_channels / c.groups, c.kernel_height, c.kernel_width});
    }
    const int64_t sizes[] = {c.height, c.width}, kernel[] = {c.kernel_height, c.kernel_width};
    const int64_t results[] = {c.out_height, c.out_width};
    before[0] = c.top;
    before[1] = c.left;
    for (int i = 0; i < 2; i++) {
      strides[i] = c.stride;
      dilations[i] = c.dilation - 1;
      after[i] = (results[i] - 1) * c.stride + (kernel[i] - 1) * c.dilation + 1 - sizes[i] - before[i];
    }
  }

 private:
  static void describe(Handle *both, std::initializer_list<int64_t> dims) {
    onednn::Dims strides;
    const int count = static_cast<int>(dims.size());
    int64_t stride = 1;
    for (int i = count - 1; i >= 0; stride *= dims.begin()[i--]) strides[i] = stride;
    check(lib.memory_desc_create_with_strides(both, count, dims.begin(), onednn::kF32, strides), "description");
    check(lib.memory_desc_create_with_tag(both + 1, count, dims.begin(), onednn::kF32, onednn::kAny), "description");
  }
};

enum Kind { kForward, kMap, kWeight };

// A convolution or one of its gradients: two tensors in, one out.
class Operation {
 public:
  Operation(const Convolution &c, Kind kind) {
    const Descriptions d(c);
    Handle forward, description;
    check(lib.convolution_forward_primitive_desc_create(&forward, engine(), onednn::kForwardTraining, onednn::kDirect,
                                                        d.map[1], d.weight[1], nullptr, d.result[1], d.strides,
                                                        d.dilations, d.before, d.after, attributes()),
          "convolution");
    if (kind == kForward) {
      description = forward;
      make(description, {d.map[0], onednn::kQuerySource, onednn::kSource},
           {d.weight[0], onednn::kQueryWeights, onednn::kWeights},
           {d.result[0], onednn::kQueryDestination, onednn::kDestination});
    } else if (kind == kMap) {
      check(lib.convolution_backward_data_primitive_desc_create(&description, engine(), onednn::kDirect, d.map[1],
                                                                d.weight[1], d.result[1], d.strides, d.dilations,
                                                                d.before, d.after, forward, attributes()),
            "gradient of a map");
      make(description, {d.result[0], onednn::kQueryDiffDestination, onednn::kDiffDestination},
           {d.weight[0], onednn::kQueryWeights, onednn::kWeights},
           {d.map[0], onednn::kQueryDiffSource, onednn::kDiffSource});
    } else {
      check(lib.convolution_backward_weights_primitive_desc_create(
                &description, engine(), onednn::kDirect, d.map[1], d.weight[1], nullptr, d.result[1], d.strides,
                d.dilations, d.before, d.after, forward, attributes()),
            "gradient of a weight");
      make(description, {d.result[0], onednn::kQueryDiffDestination, onednn::kDiffDestination},
           {d.map[0], onednn::kQuerySource, onednn::kSource},
           {d.weight[0], onednn::kQueryDiffWeights, onednn::kDiffWeights});
    }
  }

  void run(const float *first, const float *second, float *result) {
    const onednn::Argument a{positions_[0], tensors_[0]->read(first)}, b{positions_[1], tensors_[1]->read(second)};
    primitive_->run(a, b, {positions_[2], tensors_[2]->place(result)});
    tensors_[2]->write();
  }

 private:
  struct Role {
    Constant outside;
    int query, position;
  };

  void make(Handle description, const Role &first, const Role &second, const Role &result) {
    primitive_ = std::make_unique<Primitive>(description, 6);
    const Role roles[] = {first, second, result};
    for (int i = 0; i < 3; i++) {
      tensors_[i] = std::make_unique<Tensor>(
          roles[i].outside, lib.primitive_desc_query_md(description, roles[i].query, 0), 3 + i, i < 2);
      positions_[i] = roles[i].position;
    }
  }

  std::unique_ptr<Primitive> primitive_;
  std::unique_ptr<Tensor> tensors_[3];
  int positions_[3];
};

Operation &operation(const Convolution &c, Kind kind) {
  static std::map<std::array<int64_t, 15>, std::unique_ptr<Operation>> made;
  const std::array<int64_t, 15> key{kind,         c.batch,          c.in_channels,   c.height,       c.width,
                                    c.out_height, c.out_width,      c.out_channels,  c.kernel_height, c.kernel_width,
                                    c.stride, c.dilation, c.groups, c.top, c.left};
  std::unique_ptr<Operation> &found = made[key];
  if (!found) {
    try {
      found = std::make_unique<Operation>(c, kind);
    } catch (const std::runtime_error &error) {
      std::string sizes;
      for (int64_t number : key) sizes += " " + std::to_string(number);
      throw std::runtime_error(error.what() + (" for" + sizes));
    }
  }
  return *found;
}
}  // namespace

void forward(const Convolution &c, const float *x, const float *weight, float *y) {
  operation(c, kForward).run(x, weight, y);
}

void gradient_of_map(const Convolution &c, const float *dy, const float *weight, float *dx) {
  operation(c, kMap).run(dy, weight, dx);
}

void gradient_of_weight(const Convolution &c, const float *dy, const float *x, float *dweight) {
  operation(c, kWeight).run(dy, x, dweight);
}
}  // namespace general
