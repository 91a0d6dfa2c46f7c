// Max-pool of 3x3, stride 2, padding 1: x [B, C, H, W] -> y [B, C, ceil(H / 2), ceil(W / 2)].
#include <algorithm>
#include <limits>
#include <vector>

#include "call.h"

namespace {
struct Window {
  int64_t begin, end;  // of the map's rows or columns, within the map
};

// Where the first of the highest values of a window of 3x3 is, given its first element.
int64_t highest_of_nine(const float *x, int64_t first, int64_t width) {
  int64_t best = first;
  float value = x[first];
  for (int i = 1; i < 9; i++) {
    const int64_t at = first + i / 3 * width + i % 3;
    best = x[at] > value ? at : best;
    value = x[at] > value ? x[at] : value;
  }
  return best;
}

Window window(int64_t i, int64_t size) { return {std::max<int64_t>(2 * i - 1, 0), std::min(2 * i + 2, size)}; }
}  // namespace

// x -> y
OPERATOR(MaxPool) {
  const int64_t *in = call.shape(0), *out = call.shape(1);
  const int64_t height = in[2], width = in[3], rows = out[2], columns = out[3];
  threads::parts(in[0] * in[1], [&](int64_t begin, int64_t end) {
    std::vector<float> line(2 * columns + 2, -std::numeric_limits<float>::infinity());
    float *highest = line.data() + 1;  // of three rows; infinity stands before the first and behind the last column
    for (int64_t plane = begin; plane < end; plane++) {
      const float *x = call.at(0) + plane * height * width;
      float *y = call.at(1) + plane * rows * columns;
      for (int64_t row = 0; row < rows; row++) {
        const Window w = window(row, height);
        std::copy_n(x + w.begin * width, width, highest);
        for (int64_t i = w.begin + 1; i < w.end; i++) {
          for (int64_t k = 0; k < width; k++) highest[k] = std::max(highest[k], x[i * width + k]);
        }
        for (int64_t k = 0; k < columns; k++) {
          y[row * columns + k] = std::max(std::max(line[2 * k], line[2 * k + 1]), line[2 * k + 2]);
        }
      }
    }
  });
}

// dy, x -> dx; the first of equal values takes the gradient
OPERATOR(MaxPoolGradient) {
  const int64_t *in = call.shape(1), *out = call.shape(0);
  const int64_t height = in[2], width = in[3], rows = out[2], columns = out[3];
  threads::loop(in[0] * in[1], [&](int64_t plane) {
    const float *x = call.at(1) + plane * height * width, *dy = call.at(0) + plane * rows * columns;
    float *dx = call.at(2) + plane * height * width;
    std::fill_n(dx, height * width, 0.0f);
    for (int64_t row = 0; row < rows; row++) {
      const Window lines = window(row, height);
      for (int64_t column = 0; column < columns; column++) {
        const Window w = window(column, width);
        int64_t best = lines.begin * width + w.begin;
        if (lines.end - lines.begin == 3 && w.end - w.begin == 3) {
          dx[highest_of_nine(x, best, width)] += dy[row * columns + column];
          continue;
        }
        for (int64_t i = lines.begin; i < lines.end; i++) {
          for (int64_t k = i * width + w.begin; k < i * width + w.end; k++) best = x[k] > x[best] ? k : best;
        }
        dx[best] += dy[row * columns + column];
      }
    }
  });
}
