// Convolutions of 3x3, stride 1, that keep the size, by Winograd's minimal filtering F(4x4, 3x3) as in Lavin and Gray,
// "Fast Algorithms for Convolutional Neural Networks", CVPR 2016: 36 products instead of 144 for 4x4 results.
//
// Maps are cut into tiles of 4x4 results. Map and kernel are brought to 36 numbers per tile and per kernel; position by
// position these are multiplied as matrices; the products are brought back. The gradients are the adjoint of the same
// three maps. A dilated convolution is done apart for each of its dilation^2 sub-grids.
#pragma once
#include "shape.h"

namespace winograd {
// Whether a convolution has this form and is large enough to gain from it.
bool suits(const Convolution &c);

// x [B, Ci, H, W], weight [Co, Ci, 3, 3] -> y [B, Co, H, W]
void forward(const Convolution &c, const float *x, const float *weight, float *y);
void gradient_of_map(const Convolution &c, const float *dy, const float *weight, float *dx);
void gradient_of_weight(const Convolution &c, const float *dy, const float *x, float *dweight);
}  // namespace winograd
