// The sizes of a convolution.
#pragma once
#include <cstdint>

struct Convolution {
  int64_t batch, in_channels, height, width;  // of the map
  int64_t out_channels, out_height, out_width;
  int64_t kernel_height, kernel_width, stride, dilation, groups;
  int64_t top, left;  // padding above and to the left; below and to the right it follows from the sizes

  int64_t in_pixels() const { return height * width; }
  int64_t out_pixels() const { return out_height * out_width; }
  int64_t in_size() const { return batch * in_channels * in_pixels(); }
  int64_t out_size() const { return batch * out_channels * out_pixels(); }
};
