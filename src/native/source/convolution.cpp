#include "convolution.h"

#include "depthwise.h"
#include "general.h"
#include "pointwise.h"
#include "threads.h"
#include "winograd.h"

namespace convolution {
namespace {
void add_bias(const Convolution &c, const float *bias, float *y) {
  const int64_t pixels = c.out_pixels();
  threads::loop(c.batch * c.out_channels, [&](int64_t plane) {
    const float value = bias[plane % c.out_channels];
    float *values = y + plane * pixels;
    for (int64_t i = 0; i < pixels; i++) values[i] += value;
  });
}
}  // namespace

void forward(const Convolution &c, const float *x, const float *weight, const float *bias, float *y) {
  if (winograd::suits(c)) {
    winograd::forward(c, x, weight, y);
  } else if (pointwise::suits(c)) {
    pointwise::forward(c, x, weight, y);
  } else if (depthwise::suits(c) && depthwise::faster(c)) {
    depthwise::forward(c, x, weight, y);
  } else {
    general::forward(c, x, weight, y);
  }
  if (bias != nullptr) add_bias(c, bias, y);
}

void gradient_of_map(const Convolution &c, const float *dy, const float *weight, float *dx) {
  if (winograd::suits(c)) {
    winograd::gradient_of_map(c, dy, weight, dx);
  } else if (pointwise::suits(c)) {
    pointwise::gradient_of_map(c, dy, weight, dx);
  } else if (depthwise::suits(c) && depthwise::faster(c)) {
    depthwise::gradient_of_map(c, dy, weight, dx);
  } else {
    general::gradient_of_map(c, dy, weight, dx);
  }
}

void gradient_of_weight(const Convolution &c, const float *dy, const float *x, float *dweight) {
  if (winograd::suits(c)) {
    winograd::gradient_of_weight(c, dy, x, dweight);
  } else if (pointwise::suits(c)) {
    pointwise::gradient_of_weight(c, dy, x, dweight);
  } else if (depthwise::suits(c)) {
    depthwise::gradient_of_weight(c, dy, x, dweight);
  } else {
    general::gradient_of_weight(c, dy, x, dweight);
  }
}
}  // namespace convolution
