// Softmax cross entropy: logits [N, K, P], label int32 [N, 1, P] of 0..K-1, weight [N, 1, P] -> the sum over the pixels of
// weight * -log softmax(logits)[label], and its gradient [N, K, P], weight * (softmax - one-hot).
#include <algorithm>
#include <cmath>
#include <vector>

#include "call.h"
#include "vectors.h"

namespace {
constexpr int64_t kPixels = 128;  // worked on together: their classes fit in the cache
}

OPERATOR(CrossEntropy) {
  const int64_t *shape = call.shape(0), classes = shape[1], stride = shape[2];
  const int64_t per_image = (stride + kPixels - 1) / kPixels;
  const bool with_gradient = call.count > 4;
  std::vector<double> losses(threads::count());
  threads::each([&](int thread) {
    const int64_t all = shape[0] * per_image, count = threads::count();
    double total = 0.0;
    for (int64_t index = all * thread / count; index < all * (thread + 1) / count; index++) {
      const int64_t image = index / per_image, first = index % per_image * kPixels;
      const int64_t pixels = std::min(kPixels, stride - first);
      const float *logits = call.at(0) + image * classes * stride + first;
      const int32_t *label = call.at<int32_t>(1) + image * stride + first;
      const float *weight = call.at(2) + image * stride + first;
      float highest[kPixels], sums[kPixels] = {};
      std::copy_n(logits, pixels, highest);
      for (int64_t c = 1; c < classes; c++) {
        const float *row = logits + c * stride;
        for (int64_t i = 0; i < pixels; i++) highest[i] = row[i] > highest[i] ? row[i] : highest[i];
      }
      float *gradient = with_gradient ? call.at(4) + image * classes * stride + first : nullptr;
      for (int64_t c = 0; c < classes; c++) {
        for_each_vector(pixels, [&](auto type, int64_t i) {
          using T = decltype(type);
          const T e = exp(load_as<T>(logits + c * stride + i) - load_as<T>(highest + i));
          store(sums + i, load_as<T>(sums + i) + e);
          if (with_gradient) store(gradient + c * stride + i, e);
        });
      }
      for (int64_t i = 0; i < pixels; i++) {
        total += weight[i] * (highest[i] + std::log(sums[i]) - logits[label[i] * stride + i]);
      }
      if (!with_gradient) continue;
      for (int64_t i = 0; i < pixels; i++) sums[i] = weight[i] / sums[i];
      for (int64_t c = 0; c < classes; c++) {
        for (int64_t i = 0; i < pixels; i++) gradient[c * stride + i] *= sums[i];
      }
      for (int64_t i = 0; i < pixels; i++) gradient[label[i] * stride + i] -= weight[i];
    }
    losses[thread] = total;
  });
  double loss = 0.0;
  for (double part : losses) loss += part;
  call.at(3)[0] = static_cast<float>(loss);
}
