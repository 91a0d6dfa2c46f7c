// Convolutions of 1x1, stride 1, no padding: products of the weight and the map as it lies in memory.
#pragma once
#include "shape.h"

namespace pointwise {
bool suits(const Convolution &c);

// x [B, Ci, H, W], weight [Co, Ci, 1, 1] -> y [B, Co, H, W]
void forward(const Convolution &c, const float *x, const float *weight, float *y);
void gradient_of_map(const Convolution &c, const float *dy, const float *weight, float *dx);
void gradient_of_weight(const Convolution &c, const float *dy, const float *x, float *dweight);
}  // namespace pointwise
