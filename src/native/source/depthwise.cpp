#include "depthwise.h"

#include <algorithm>
#include <vector>

#include "threads.h"
#include "vectors.h"

namespace depthwise {
namespace {
// A plane with zeros around it, its columns sorted by their remainder modulo the stride, so that the columns that a
// kernel column meets lie side by side.
class Padded {
 public:
  Padded(int64_t rows, int64_t columns, int64_t stride)
      : stride_(stride), length_((columns + stride - 1) / stride + 2 * kLanes), rows_(rows) {
    values_.assign(stride * rows * length_, 0.0f);
  }

  // Place a plane whose pixel (0, 0) comes to (top, left), with `gap` - 1 zeros between neighbors.
  void fill(const float *plane, int64_t height, int64_t width, int64_t top, int64_t left, int64_t gap) {
    for (int64_t y = 0; y < height; y++) {
      const int64_t row = top + y * gap;
      if (row < 0 || row >= rows_) continue;
      const float *from = plane + y * width;
      if (stride_ == 1 && gap == 1) {
        std::copy_n(from, width, values_.data() + row * length_ + left);
      } else if (stride_ == 1) {
        float *to = values_.data() + row * length_ + left;
        for (int64_t x = 0; x < width; x++) to[x * gap] = from[x];
      } else {
        for (int64_t phase = 0; phase < stride_; phase++) {
          const int64_t first = ((phase - left) % stride_ + stride_) % stride_;
          float *to = values_.data() + (phase * rows_ + row) * length_ + (left + first) / stride_;
          for (int64_t x = first; x < width; x += stride_) *to++ = from[x];
        }
      }
    }
  }

  int64_t length() const { return length_; }  // from one row to the next of the same remainder

  const float *at(int64_t row, int64_t column) const {
    return values_.data() + (column % stride_ * rows_ + row) * length_ + column / stride_;
  }

 private:
  int64_t stride_, length_, rows_;
  std::vector<float> values_;
};

// Where the cells of a kernel meet a padded plane for the pixel (0, 0) of the result.
template <int K>
struct Cells {
  Cells(const Padded &x, int64_t stride, int64_t dilation) : step(stride * x.length()) {
    for (int k = 0; k < K * K; k++) at[k] = x.at(k / K * dilation, k % K * dilation);
  }

  const float *at[K * K];
  int64_t step;  // from there to the next row of the result
};

// y [height, width] = sum over the kernel's cells of weight * x, in blocks of kRows x kLanes pixels: several rows at once,
// so that no sum waits for the one before. The last block of an edge overlaps its neighbor where it does not fit;
// height is at least kRows.
template <int K, int kRows>
void correlate_rows(const Cells<K> &x, const Lanes *weight, int64_t height, int64_t width, float *y) {
  for (int64_t begin = 0; begin < height; begin += kRows) {
    const int64_t row = std::min(begin, height - kRows);
    for (int64_t start = 0; start < width; start += kLanes) {
      const int64_t column = std::min(start, std::max(width - kLanes, int64_t{0}));
      Lanes sums[kRows] = {};
      for (int k = 0; k < K * K; k++) {
        const float *from = x.at[k] + row * x.step + column;
        for (int r = 0; r < kRows; r++) sums[r] += load(from + r * x.step) * weight[k];
      }
      for (int r = 0; r < kRows; r++) {
        float *to = y + (row + r) * width + column;
        if (width < kLanes) {
          std::memcpy(to, &sums[r], width * sizeof(float));
        } else {
          store(to, sums[r]);
        }
      }
    }
  }
}

template <int K>
void correlate(const Cells<K> &x, const float *weight, int64_t height, int64_t width, float *y) {
  Lanes weights[K * K];
  for (int k = 0; k < K * K; k++) weights[k] = Lanes{} + weight[k];
  height < 4 ? correlate_rows<K, 1>(x, weights, height, width, y) : correlate_rows<K, 4>(x, weights, height, width, y);
}

// sums[k] += sum over the pixels of dy * x
template <int K>
void accumulate(const Cells<K> &x, const Padded &dy, int64_t height, int64_t width, Lanes *sums) {
  for (int64_t row = 0; row < height; row++) {
    const float *from = dy.at(row, 0);
    for (int y = 0; y < K; y++) {
      Lanes line[K];
      const float *meets[K];
      for (int k = 0; k < K; k++) {
        line[k] = sums[y * K + k];
        meets[k] = x.at[y * K + k] + row * x.step;
      }
      for (int64_t i = 0; i < width; i += kLanes) {
        const Lanes d = load(from + i);
        for (int k = 0; k < K; k++) line[k] += d * load(meets[k] + i);
      }
      for (int k = 0; k < K; k++) sums[y * K + k] = line[k];
    }
  }
}

int64_t reach(const Convolution &c) { return (c.kernel_height - 1) * c.dilation; }

template <int K>
void forward(const Convolution &c, const float *x, const float *weight, float *y) {
  threads::parts(c.batch * c.in_channels, [&](int64_t begin, int64_t end) {
    Padded padded((c.out_height - 1) * c.stride + reach(c) + 1,
                  std::max((c.out_width - 1) * c.stride + reach(c) + 1, c.width + c.left), c.stride);
    const Cells<K> cells(padded, c.stride, c.dilation);
    for (int64_t i = begin; i < end; i++) {
      padded.fill(x + i * c.in_pixels(), c.height, c.width, c.top, c.left, 1);
      correlate<K>(cells, weight + i % c.in_channels * K * K, c.out_height, c.out_width, y + i * c.out_pixels());
    }
  });
}

// The gradient, spread over the map's pixels, is correlated with the kernel turned by 180 degrees.
template <int K>
void gradient_of_map(const Convolution &c, const float *dy, const float *weight, float *dx) {
  const int64_t top = reach(c) - c.top, left = reach(c) - c.left;
  threads::parts(c.batch * c.in_channels, [&](int64_t begin, int64_t end) {
    Padded padded(c.height + reach(c), std::max(c.width + reach(c), (c.out_width - 1) * c.stride + 1 + left), 1);
    const Cells<K> cells(padded, 1, c.dilation);
    float turned[K * K];
    for (int64_t i = begin; i < end; i++) {
      padded.fill(dy + i * c.out_pixels(), c.out_height, c.out_width, top, left, c.stride);
      std::reverse_copy(weight + i % c.in_channels * K * K, weight + (i % c.in_channels + 1) * K * K, turned);
      correlate<K>(cells, turned, c.height, c.width, dx + i * c.in_pixels());
    }
  });
}

template <int K>
void gradient_of_weight(const Convolution &c, const float *dy, const float *x, float *dweight) {
  threads::parts(c.in_channels, [&](int64_t begin, int64_t end) {
    Padded map((c.out_height - 1) * c.stride + reach(c) + 1,
               std::max((c.out_width - 1) * c.stride + reach(c) + 1, c.width + c.left), c.stride);
    const Cells<K> cells(map, c.stride, c.dilation);
    Padded gradient(c.out_height, c.out_width, 1);
    for (int64_t channel = begin; channel < end; channel++) {
      Lanes sums[K * K] = {};
      for (int64_t image = 0; image < c.batch; image++) {
        const int64_t i = image * c.in_channels + channel;
        map.fill(x + i * c.in_pixels(), c.height, c.width, c.top, c.left, 1);
        gradient.fill(dy + i * c.out_pixels(), c.out_height, c.out_width, 0, 0, 1);
        accumulate<K>(cells, gradient, c.out_height, c.out_width, sums);
      }
      for (int k = 0; k < K * K; k++) dweight[channel * K * K + k] = sum(sums[k]);
    }
  });
}
}  // namespace

bool suits(const Convolution &c) {
  return c.groups == c.in_channels && c.groups == c.out_channels && c.kernel_height == c.kernel_width &&
         (c.kernel_height == 3 || c.kernel_height == 5) && c.stride <= 2 && c.top <= reach(c) && c.left <= reach(c);
}

bool faster(const Convolution &c) { return c.dilation > 1 || c.out_width > kLanes; }

void forward(const Convolution &c, const float *x, const float *weight, float *y) {
  c.kernel_height == 3 ? forward<3>(c, x, weight, y) : forward<5>(c, x, weight, y);
}

void gradient_of_map(const Convolution &c, const float *dy, const float *weight, float *dx) {
  c.kernel_height == 3 ? gradient_of_map<3>(c, dy, weight, dx) : gradient_of_map<5>(c, dy, weight, dx);
}

void gradient_of_weight(const Convolution &c, const float *dy, const float *x, float *dweight) {
  c.kernel_height == 3 ? gradient_of_weight<3>(c, dy, x, dweight) : gradient_of_weight<5>(c, dy, x, dweight);
}
}  // namespace depthwise
