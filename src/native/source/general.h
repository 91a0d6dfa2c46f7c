// Any convolution, by oneDNN in the memory layouts that it prefers.
#pragma once
#include "shape.h"

namespace general {
// x [B, Ci, H, W], weight [Co, Ci / groups, kh, kw] -> y [B, Co, H', W']
void forward(const Convolution &c, const float *x, const float *weight, float *y);
void gradient_of_map(const Convolution &c, const float *dy, const float *weight, float *dx);
void gradient_of_weight(const Convolution &c, const float *dy, const float *x, float *dweight);
}  // namespace general
