// A convolution by the fastest of the ways that suit it.
#pragma once
#include "shape.h"

namespace convolution {
// x [B, Ci, H, W], weight [Co, Ci / groups, kh, kw], bias [Co] or null -> y [B, Co, H', W']
void forward(const Convolution &c, const float *x, const float *weight, const float *bias, float *y);
void gradient_of_map(const Convolution &c, const float *dy, const float *weight, float *dx);
void gradient_of_weight(const Convolution &c, const float *dy, const float *x, float *dweight);
}  // namespace convolution
