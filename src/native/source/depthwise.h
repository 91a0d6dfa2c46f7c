// Depthwise convolutions of 3x3 and 5x5, stride 1 or 2, directly on the planes of a map.
#pragma once
#include "shape.h"

namespace depthwise {
bool suits(const Convolution &c);

// Whether the map and its gradient are computed faster here than by oneDNN, which takes dilated ones pixel by pixel; the
// gradient of the weight always is.
bool faster(const Convolution &c);

// x [B, C, H, W], weight [C, 1, k, k] -> y [B, C, H', W']
void forward(const Convolution &c, const float *x, const float *weight, float *y);
void gradient_of_map(const Convolution &c, const float *dy, const float *weight, float *dx);
void gradient_of_weight(const Convolution &c, const float *dy, const float *x, float *dweight);
}  // namespace depthwise
