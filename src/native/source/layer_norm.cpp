// Layer norm: of rows x [N, C], or over the channels of each pixel, x [B, C, P]: y = gamma (x - mean) / deviation + beta.
// Options: epsilon. The gradients compute mean and deviation anew.
#include <algorithm>
#include <cmath>
#include <vector>

#include "call.h"
#include "vectors.h"

namespace {
constexpr int64_t kPixels = 128;  // worked on together: their channels fit in the cache

// Sums over the rows or pixels of a thread, [C] each, added up in the order of the threads.
class Sums {
 public:
  Sums(int64_t channels) : channels_(channels), values_(threads::count() * 2 * channels) {}

  double *of_gamma(int thread) { return values_.data() + thread * 2 * channels_; }
  double *of_beta(int thread) { return of_gamma(thread) + channels_; }

  void write(float *dgamma, float *dbeta) {
    for (int64_t c = 0; c < channels_; c++) {
      double gamma = 0.0, beta = 0.0;
      for (int thread = 0; thread < threads::count(); thread++) {
        gamma += of_gamma(thread)[c];
        beta += of_beta(thread)[c];
      }
      dgamma[c] = static_cast<float>(gamma);
      dbeta[c] = static_cast<float>(beta);
    }
  }

 private:
  int64_t channels_;
  std::vector<double> values_;
};

// task(thread, i) for the thread's part of [0, n)
template <class Task>
void loop(int64_t n, Task task) {
  threads::each([&](int thread) {
    const int64_t count = threads::count();
    for (int64_t i = n * thread / count; i < n * (thread + 1) / count; i++) task(thread, i);
  });
}

struct Row {
  float mean, inverse;

  Row(const float *x, int64_t channels, float epsilon) {
    mean = static_cast<float>(
        sum_of_vectors(channels, [&](auto type, int64_t i) { return load_as<decltype(type)>(x + i); }) / channels);
    const double squares = sum_of_vectors(channels, [&](auto type, int64_t i) {
      const auto centered = load_as<decltype(type)>(x + i) - mean;
      return centered * centered;
    });
    inverse = 1.0f / std::sqrt(static_cast<float>(squares / channels) + epsilon);
  }
};

// Up to kPixels pixels of an image.
struct Block {
  int64_t offset, count;  // of its first channel; pixels

  Block(const int64_t *shape, int64_t index) {
    const int64_t per_image = blocks(shape), first = index % per_image * kPixels;
    offset = index / per_image * shape[1] * shape[2] + first;
    count = std::min(kPixels, shape[2] - first);
  }

  static int64_t blocks(const int64_t *shape) { return (shape[2] + kPixels - 1) / kPixels; }
};

struct Pixels {
  float mean[kPixels] = {}, inverse[kPixels] = {};

  Pixels(const float *x, int64_t channels, int64_t stride, int64_t count, float epsilon) {
    const float share = 1.0f / channels;
    for (int64_t c = 0; c < channels; c++) {
      for (int64_t i = 0; i < count; i++) mean[i] += x[c * stride + i];
    }
    for (int64_t i = 0; i < count; i++) mean[i] *= share;
    for (int64_t c = 0; c < channels; c++) {
      for (int64_t i = 0; i < count; i++) {
        const float centered = x[c * stride + i] - mean[i];
        inverse[i] += centered * centered;
      }
    }
    for (int64_t i = 0; i < count; i++) inverse[i] = 1.0f / std::sqrt(inverse[i] * share + epsilon);
  }
};
}  // namespace

// x [N, C], gamma, beta, options -> y
OPERATOR(NormalizeRows) {
  const int64_t channels = call.shape(0)[1];
  const float *gamma = call.at(1), *beta = call.at(2), epsilon = call.at(3)[0];
  threads::loop(call.shape(0)[0], [&](int64_t row) {
    const float *x = call.at(0) + row * channels;
    float *y = call.at(4) + row * channels;
    const Row r(x, channels, epsilon);
    for_each_vector(channels, [&](auto type, int64_t i) {
      using T = decltype(type);
      store(y + i, (load_as<T>(x + i) - r.mean) * r.inverse * load_as<T>(gamma + i) + load_as<T>(beta + i));
    });
  });
}

// dy [N, C], x, gamma, options -> dx, dgamma, dbeta
OPERATOR(NormalizeRowsGradient) {
  const int64_t channels = call.shape(0)[1];
  const float *gamma = call.at(2), epsilon = call.at(3)[0];
  Sums sums(channels);
  loop(call.shape(0)[0], [&](int thread, int64_t row) {
    const float *dy = call.at(0) + row * channels, *x = call.at(1) + row * channels;
    float *dx = call.at(4) + row * channels;
    double *dgamma = sums.of_gamma(thread), *dbeta = sums.of_beta(thread);
    const Row r(x, channels, epsilon);
    auto normed = [&](auto type, int64_t i) { return (load_as<decltype(type)>(x + i) - r.mean) * r.inverse; };
    auto weighted = [&](auto type, int64_t i) {
      return load_as<decltype(type)>(dy + i) * load_as<decltype(type)>(gamma + i);
    };
    const float shift = static_cast<float>(sum_of_vectors(channels, weighted) / channels);
    const float turn = static_cast<float>(
        sum_of_vectors(channels, [&](auto type, int64_t i) { return weighted(type, i) * normed(type, i); }) / channels);
    for_each_vector(channels, [&](auto type, int64_t i) {
      store(dx + i, r.inverse * (weighted(type, i) - shift - normed(type, i) * turn));
    });
    for (int64_t c = 0; c < channels; c++) {
      dgamma[c] += dy[c] * (x[c] - r.mean) * r.inverse;
      dbeta[c] += dy[c];
    }
  });
  sums.write(call.at(5), call.at(6));
}

// x [B, C, P], gamma, beta, options -> y
OPERATOR(NormalizePixels) {
  const int64_t *shape = call.shape(0), channels = shape[1], stride = shape[2];
  const float *gamma = call.at(1), *beta = call.at(2), epsilon = call.at(3)[0];
  threads::loop(shape[0] * Block::blocks(shape), [&](int64_t index) {
    const Block b(shape, index);
    const float *x = call.at(0) + b.offset;
    float *y = call.at(4) + b.offset;
    const Pixels p(x, channels, stride, b.count, epsilon);
    for (int64_t c = 0; c < channels; c++) {
      for (int64_t i = 0; i < b.count; i++) {
        y[c * stride + i] = (x[c * stride + i] - p.mean[i]) * p.inverse[i] * gamma[c] + beta[c];
      }
    }
  });
}

// dy [B, C, P], x, gamma, options -> dx, dgamma, dbeta
OPERATOR(NormalizePixelsGradient) {
  const int64_t *shape = call.shape(0), channels = shape[1], stride = shape[2];
  const float *gamma = call.at(2), epsilon = call.at(3)[0], share = 1.0f / channels;
  Sums sums(channels);
  loop(shape[0] * Block::blocks(shape), [&](int thread, int64_t index) {
    const Block b(shape, index);
    const float *dy = call.at(0) + b.offset, *x = call.at(1) + b.offset;
    float *dx = call.at(4) + b.offset;
    double *dgamma = sums.of_gamma(thread), *dbeta = sums.of_beta(thread);
    const Pixels p(x, channels, stride, b.count, epsilon);
    float shift[kPixels] = {}, turn[kPixels] = {};
    for (int64_t c = 0; c < channels; c++) {
      const float *incoming = dy + c * stride, *from = x + c * stride;
      for (int64_t i = 0; i < b.count; i++) {
        const float weighted = incoming[i] * gamma[c];
        shift[i] += weighted;
        turn[i] += weighted * (from[i] - p.mean[i]) * p.inverse[i];
      }
      dbeta[c] += sum_of_vectors(b.count, [&](auto type, int64_t i) { return load_as<decltype(type)>(incoming + i); });
      dgamma[c] += sum_of_vectors(b.count, [&](auto type, int64_t i) {
        using T = decltype(type);
        return load_as<T>(incoming + i) * (load_as<T>(from + i) - load_as<T>(p.mean + i)) * load_as<T>(p.inverse + i);
      });
    }
    for (int64_t c = 0; c < channels; c++) {
      for (int64_t i = 0; i < b.count; i++) {
        const float normed = (x[c * stride + i] - p.mean[i]) * p.inverse[i];
        dx[c * stride + i] = p.inverse[i] * (dy[c * stride + i] * gamma[c] - (shift[i] + normed * turn[i]) * share);
      }
    }
  });
  sums.write(call.at(5), call.at(6));
}
