// The operators that MindSpore calls, and `initialize`, which must be called before any of them.
#include "call.h"
#include "convolution.h"
#include "onednn.h"
#include "threads.h"

// Load oneDNN from `path` and start the threads; 0 for success. What is loaded stays for the life of the process.
EXPORTED int initialize(const char *path, int thread_count) {
  static bool done = false;
  if (done) return 0;
  if (!onednn::load(path)) return 1;
  threads::start(thread_count);
  done = true;
  return 0;
}

namespace {
// options: stride, dilation, groups, top and left padding
Convolution sizes(const int64_t *x, const int64_t *weight, const int64_t *y, const int32_t *options) {
  return {x[0],      x[1],      x[2],       x[3],       y[1],       y[2],      y[3],
          weight[2], weight[3], options[0], options[1], options[2], options[3], options[4]};
}
}  // namespace

// x, weight, options -> y
OPERATOR(Convolve) {
  convolution::forward(sizes(call.shape(0), call.shape(1), call.shape(3), call.at<int32_t>(2)), call.at(0), call.at(1),
                       nullptr, call.at(3));
}

// x, weight, bias, options -> y
OPERATOR(ConvolveAndAdd) {
  convolution::forward(sizes(call.shape(0), call.shape(1), call.shape(4), call.at<int32_t>(3)), call.at(0), call.at(1),
                       call.at(2), call.at(4));
}

// dy, weight, options, x (for its shape) -> dx
OPERATOR(ConvolveGradientOfMap) {
  convolution::gradient_of_map(sizes(call.shape(4), call.shape(1), call.shape(0), call.at<int32_t>(2)), call.at(0),
                               call.at(1), call.at(4));
}

// dy, x, options, weight (for its shape) -> dweight
OPERATOR(ConvolveGradientOfWeight) {
  convolution::gradient_of_weight(sizes(call.shape(1), call.shape(4), call.shape(0), call.at<int32_t>(2)), call.at(0),
                                  call.at(1), call.at(4));
}

// dy [B, C, H, W] -> sums over images and pixels [C]
OPERATOR(SumOfChannels) {
  const int64_t *shape = call.shape(0), channels = shape[1], pixels = shape[2] * shape[3];
  threads::loop(channels, [&](int64_t channel) {
    double total = 0.0;
    for (int64_t image = 0; image < shape[0]; image++) {
      const float *values = call.at(0) + (image * channels + channel) * pixels;
      for (int64_t i = 0; i < pixels; i++) total += values[i];
    }
    call.at(1)[channel] = static_cast<float>(total);
  });
}
