#include "pointwise.h"

#include <algorithm>

#include "multiply.h"

namespace pointwise {
namespace {
// Parts of the pixels of an image that one thread works on.
struct Part {
  int64_t image, begin, pixels;
};

// As many parts per image as keep all threads busy.
int64_t parts_per_image(const Convolution &c) { return c.batch % threads::count() == 0 ? 1 : threads::count(); }

Part part(const Convolution &c, int64_t index) {
  const int64_t each = parts_per_image(c), i = index % each, all = c.in_pixels();
  return {index / each, all * i / each, all * (i + 1) / each - all * i / each};
}

// y [to, pixels] = weight x [from, pixels] for all images
void product(const Convolution &c, char transpose, const float *weight, int64_t from, int64_t to, const float *x,
             float *y) {
  const int64_t pixels = c.in_pixels();
  threads::loop(c.batch * parts_per_image(c), [&](int64_t i) {
    const Part p = part(c, i);
    multiply(transpose, 'N', to, p.pixels, from, weight, c.in_channels, x + p.image * from * pixels + p.begin, pixels,
             0.0f, y + p.image * to * pixels + p.begin, pixels);
  });
}
}  // namespace

bool suits(const Convolution &c) {
  return c.kernel_height == 1 && c.kernel_width == 1 && c.stride == 1 && c.groups == 1 && c.top == 0 &&
         c.left == 0 && c.out_height == c.height && c.out_width == c.width;
}

void forward(const Convolution &c, const float *x, const float *weight, float *y) {
  product(c, 'N', weight, c.in_channels, c.out_channels, x, y);
}

void gradient_of_map(const Convolution &c, const float *dy, const float *weight, float *dx) {
  product(c, 'T', weight, c.out_channels, c.in_channels, dy, dx);
}

void gradient_of_weight(const Convolution &c, const float *dy, const float *x, float *dweight) {
  const int64_t pixels = c.in_pixels(), size = c.in_channels * c.out_channels;
  const int64_t all = c.batch * parts_per_image(c), count = threads::count();
  float *sums = threads::scratch(0, count * size);  // one per thread, so that the order of the sum never changes
  threads::each([&](int thread) {
    const int64_t begin = all * thread / count, end = all * (thread + 1) / count;
    if (begin == end) std::fill_n(sums + thread * size, size, 0.0f);
    for (int64_t i = begin; i < end; i++) {
      const Part p = part(c, i);
      multiply('N', 'T', c.out_channels, c.in_channels, p.pixels, dy + p.image * c.out_channels * pixels + p.begin,
               pixels, x + p.image * c.in_channels * pixels + p.begin, pixels, i == begin ? 0.0f : 1.0f,
               sums + thread * size, c.in_channels);
    }
  });
  threads::parts(size, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      float sum = sums[i];
      for (int64_t thread = 1; thread < count; thread++) sum += sums[thread * size + i];
      dweight[i] = sum;
    }
  });
}
}  // namespace pointwise
