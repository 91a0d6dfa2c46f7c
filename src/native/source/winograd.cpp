#include "winograd.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "multiply.h"
#include "vectors.h"

namespace winograd {
namespace {
constexpr int kPoints = 36, kTile = 4, kWindow = 6;
constexpr int64_t kCacheFloats = 3 << 20;  // of the transformed maps of one batch of tiles
constexpr int64_t kFewestTiles = 32;
enum Slot { kKernels, kMaps, kProducts };

// The polynomials are taken at 0, p, -p, q, -q and infinity. These values lose a quarter of the digits that the usual 1
// and 2 lose, and all constants but the reciprocals are exact.
constexpr float kP = 0.625f, kQ = 1.5f;
constexpr float kP2 = kP * kP, kQ2 = kQ * kQ, kP3 = kP2 * kP, kQ3 = kQ2 * kQ;
constexpr float kPerZero = 1.0f / (kP2 * kQ2), kPerP = 0.5f / (kP2 * (kP2 - kQ2)), kPerQ = 0.5f / (kQ2 * (kQ2 - kP2));

// B^T: window of the map -> points
inline void map_to_points(const float *d, float *v) {
  const float a = d[4] - kQ2 * d[2], b = kP * (d[3] - kQ2 * d[1]), c = d[4] - kP2 * d[2], e = kQ * (d[3] - kP2 * d[1]);
  v[0] = kP2 * kQ2 * d[0] - (kP2 + kQ2) * d[2] + d[4];
  v[1] = a + b;
  v[2] = a - b;
  v[3] = c + e;
  v[4] = c - e;
  v[5] = kP2 * kQ2 * d[1] - (kP2 + kQ2) * d[3] + d[5];
}

// A^T: points -> tile of results
inline void points_to_tile(const float *m, float *y) {
  const float a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], e = m[3] - m[4];
  y[0] = m[0] + a + c;
  y[1] = kP * b + kQ * e;
  y[2] = kP2 * a + kQ2 * c;
  y[3] = kP3 * b + kQ3 * e + m[5];
}

// A: gradient of a tile -> points
inline void tile_to_points(const float *y, float *m) {
  const float a = y[0] + kP2 * y[2], b = kP * y[1] + kP3 * y[3], c = y[0] + kQ2 * y[2], e = kQ * y[1] + kQ3 * y[3];
  m[0] = y[0];
  m[1] = a + b;
  m[2] = a - b;
  m[3] = c + e;
  m[4] = c - e;
  m[5] = y[3];
}

// G: kernel -> points
inline void kernel_to_points(const float *g, float *u) {
  const float a = g[0] + kP2 * g[2], b = kP * g[1], c = g[0] + kQ2 * g[2], e = kQ * g[1];
  u[0] = g[0] * kPerZero;
  u[1] = (a + b) * kPerP;
  u[2] = (a - b) * kPerP;
  u[3] = (c + e) * kPerQ;
  u[4] = (c - e) * kPerQ;
  u[5] = g[2];
}

// G^T: gradient of the points -> gradient of the kernel
inline void points_to_kernel(const float *u, float *g) {
  const float a = (u[1] + u[2]) * kPerP, b = (u[1] - u[2]) * kPerP, c = (u[3] + u[4]) * kPerQ, e = (u[3] - u[4]) * kPerQ;
  g[0] = u[0] * kPerZero + a + c;
  g[1] = kP * b + kQ * e;
  g[2] = kP2 * a + kQ2 * c + u[5];
}

// How a map [B, C, H, W] is cut: rows of tiles, counted over images, sub-grids and heights.
struct Tiling {
  int64_t batch, height, width, dilation;
  int64_t tiles_high, tiles_wide, rows;

  explicit Tiling(const Convolution &c) : batch(c.batch), height(c.height), width(c.width), dilation(c.dilation) {
    tiles_high = ((height + dilation - 1) / dilation + kTile - 1) / kTile;
    tiles_wide = ((width + dilation - 1) / dilation + kTile - 1) / kTile;
    rows = batch * dilation * dilation * tiles_high;
  }

  struct Row {
    int64_t image, y, x, top;  // first pixel of the sub-grid, and the row's first line within it
  };

  Row row(int64_t index) const {
    const int64_t top = index % tiles_high * kTile, grid = index / tiles_high;
    return {grid / (dilation * dilation), grid / dilation % dilation, grid % dilation, top};
  }

  // Line `line` of the sub-grid, with `margin` zeros before it and zeros behind it up to `length`.
  void read(const float *plane, const Row &row, int64_t line, int64_t margin, int64_t length, float *out) const {
    const int64_t y = row.y + line * dilation;
    if (line < 0 || y >= height) {
      std::memset(out, 0, length * sizeof(float));
      return;
    }
    const float *from = plane + y * width;
    const int64_t count = (width - row.x + dilation - 1) / dilation;
    std::memset(out, 0, margin * sizeof(float));
    if (dilation == 1) {
      std::memcpy(out + margin, from, count * sizeof(float));
    } else {
      for (int64_t i = 0; i < count; i++) out[margin + i] = from[row.x + i * dilation];
    }
    if (margin + count < length) std::memset(out + margin + count, 0, (length - margin - count) * sizeof(float));
  }

  void write(float *plane, const Row &row, int64_t line, const float *values) const {
    const int64_t y = row.y + line * dilation;
    if (y >= height) return;
    float *to = plane + y * width;
    const int64_t count = (width - row.x + dilation - 1) / dilation;
    if (dilation == 1) {
      std::memcpy(to, values, count * sizeof(float));
    } else {
      for (int64_t i = 0; i < count; i++) to[row.x + i * dilation] = values[i];
    }
  }
};

// Consecutive rows of tiles that are worked on together: their points are matrices [channels, stride] per position.
struct Batch {
  int64_t first, rows, stride;
};

std::vector<Batch> batches(const Tiling &t, int64_t channels) {
  const int64_t tiles = std::max<int64_t>(2 * kFewestTiles, kCacheFloats / (kPoints * channels));
  const int64_t most = std::max<int64_t>(1, tiles / t.tiles_wide), count = (t.rows + most - 1) / most;
  std::vector<Batch> all;
  for (int64_t i = 0; i < count; i++) {
    const int64_t first = t.rows * i / count, rows = t.rows * (i + 1) / count - first;
    all.push_back({first, rows, whole_lanes(rows * t.tiles_wide)});
  }
  return all;
}

// Points of one channel: plane [H, W] -> points[p * plane_stride + tile]. Each tile reads `kRead` lines and columns, of
// which `kMargin` lie before it.
template <int kRead, int kMargin, class Map>
void to_points(const Tiling &t, const Batch &b, const float *x, int64_t channels, int64_t channel, float *points,
               Map map) {
  const int64_t length = kTile * t.tiles_wide + 2 * kMargin, plane = channels * b.stride;
  thread_local std::vector<float> lines, columns;
  lines.resize(kRead * length);
  columns.resize(kWindow * length);
  for (int64_t r = 0; r < b.rows; r++) {
    const Tiling::Row row = t.row(b.first + r);
    const float *from = x + (row.image * channels + channel) * t.height * t.width;
    for (int i = 0; i < kRead; i++) t.read(from, row, row.top + i - kMargin, kMargin, length, lines.data() + i * length);
    const float *__restrict in = lines.data();
    float *__restrict mid = columns.data();
#pragma GCC ivdep
    for (int64_t j = 0; j < length; j++) {
      float d[kRead], v[kWindow];
      for (int i = 0; i < kRead; i++) d[i] = in[i * length + j];
      map(d, v);
      for (int i = 0; i < kWindow; i++) mid[i * length + j] = v[i];
    }
    for (int i = 0; i < kWindow; i++) {
      const float *__restrict line = mid + i * length;
      float *__restrict out = points + i * kWindow * plane + r * t.tiles_wide;
#pragma GCC ivdep
      for (int64_t k = 0; k < t.tiles_wide; k++) {
        float v[kWindow];
        map(line + kTile * k, v);
        for (int j = 0; j < kWindow; j++) out[j * plane + k] = v[j];
      }
    }
  }
  const int64_t used = b.rows * t.tiles_wide;
  for (int p = 0; p < kPoints; p++) std::memset(points + p * plane + used, 0, (b.stride - used) * sizeof(float));
}

void windows(const Tiling &t, const Batch &b, const float *x, int64_t channels, int64_t channel, float *points) {
  to_points<kWindow, 1>(t, b, x, channels, channel, points, [](const float *d, float *v) { map_to_points(d, v); });
}

// The same for a gradient.
void tiles(const Tiling &t, const Batch &b, const float *dy, int64_t channels, int64_t channel, float *points) {
  to_points<kTile, 0>(t, b, dy, channels, channel, points, [](const float *y, float *v) { tile_to_points(y, v); });
}

// Points of the results of one channel -> plane [H, W].
void results(const Tiling &t, const Batch &b, const float *points, int64_t channels, int64_t channel, float *y) {
  const int64_t length = kTile * t.tiles_wide, plane = channels * b.stride;
  thread_local std::vector<float> columns, lines;
  columns.resize(kWindow * length);
  lines.resize(kTile * length);
  for (int64_t r = 0; r < b.rows; r++) {
    const Tiling::Row row = t.row(b.first + r);
    float *map = y + (row.image * channels + channel) * t.height * t.width;
    for (int i = 0; i < kWindow; i++) {
      const float *__restrict in = points + i * kWindow * plane + r * t.tiles_wide;
      float *__restrict line = columns.data() + i * length;
#pragma GCC ivdep
      for (int64_t k = 0; k < t.tiles_wide; k++) {
        float m[kWindow], v[kTile];
        for (int j = 0; j < kWindow; j++) m[j] = in[j * plane + k];
        points_to_tile(m, v);
        for (int j = 0; j < kTile; j++) line[kTile * k + j] = v[j];
      }
    }
    const float *__restrict mid = columns.data();
    float *__restrict out = lines.data();
#pragma GCC ivdep
    for (int64_t j = 0; j < length; j++) {
      float m[kWindow], v[kTile];
      for (int i = 0; i < kWindow; i++) m[i] = mid[i * length + j];
      points_to_tile(m, v);
      for (int i = 0; i < kTile; i++) out[i * length + j] = v[i];
    }
    for (int i = 0; i < kTile; i++) t.write(map, row, row.top + i, out + i * length);
  }
}

// Kernels are brought over side by side: so many of them fill vectors, and whole cache lines are written.
constexpr int64_t kBlock = 16;

template <int kFrom, int kTo, class Map>
void map_columns(const float (*in)[kBlock], float (*out)[kBlock], int in_stride, int out_stride, Map map) {
  for (int64_t lane = 0; lane < kBlock; lane++) {
    float from[kFrom], to[kTo];
    for (int i = 0; i < kFrom; i++) from[i] = in[i * in_stride][lane];
    map(from, to);
    for (int i = 0; i < kTo; i++) out[i * out_stride][lane] = to[i];
  }
}

// task(first, lanes) for blocks of kernels, [0, count) in all.
void kernel_blocks(int64_t count, const std::function<void(int64_t, int64_t)> &task) {
  threads::loop((count + kBlock - 1) / kBlock, [&](int64_t block) {
    const int64_t first = block * kBlock;
    task(first, std::min(kBlock, count - first));
  });
}

// weight [Co, Ci, 3, 3] -> points [36, Co, Ci]; `turned` by 180 degrees for the gradient of the map.
void kernels(const Convolution &c, const float *weight, bool turned, float *points) {
  const int64_t count = c.out_channels * c.in_channels;
  kernel_blocks(count, [&](int64_t first, int64_t lanes) {
    float g[9][kBlock] = {}, columns[3 * kWindow][kBlock], u[kPoints][kBlock];
    for (int64_t lane = 0; lane < lanes; lane++)
      for (int k = 0; k < 9; k++) g[turned ? 8 - k : k][lane] = weight[(first + lane) * 9 + k];
    for (int k = 0; k < 3; k++) map_columns<3, kWindow>(g + k, columns + k, 3, 3, kernel_to_points);
    for (int j = 0; j < kWindow; j++) map_columns<3, kWindow>(columns + j * 3, u + j * kWindow, 1, 1, kernel_to_points);
    for (int p = 0; p < kPoints; p++) std::copy_n(u[p], lanes, points + p * count + first);
  });
}

// points [36, Co, Ci] -> weight [Co, Ci, 3, 3]
void kernels_back(const Convolution &c, const float *points, float *weight) {
  const int64_t count = c.out_channels * c.in_channels;
  kernel_blocks(count, [&](int64_t first, int64_t lanes) {
    float u[kPoints][kBlock] = {}, columns[3 * kWindow][kBlock], g[9][kBlock];
    for (int p = 0; p < kPoints; p++) std::copy_n(points + p * count + first, lanes, u[p]);
    for (int j = 0; j < kWindow; j++) map_columns<kWindow, 3>(u + j * kWindow, columns + j * 3, 1, 1, points_to_kernel);
    for (int k = 0; k < 3; k++) map_columns<kWindow, 3>(columns + k, g + k, 3, 3, points_to_kernel);
    for (int64_t lane = 0; lane < lanes; lane++)
      for (int k = 0; k < 9; k++) weight[(first + lane) * 9 + k] = g[k][lane];
  });
}

// x [B, from, H, W] -> y [B, to, H, W]; the kernels' points are [36, to, from], or [36, from, to] when transposed.
void convolve(const Convolution &c, int64_t from, int64_t to, const float *x, const float *kernels, bool transposed,
              float *y) {
  const Tiling t(c);
  for (const Batch &b : batches(t, from + to)) {
    float *maps = threads::scratch(kMaps, kPoints * from * b.stride);
    float *products = threads::scratch(kProducts, kPoints * to * b.stride);
    threads::loop(from, [&](int64_t channel) { windows(t, b, x, from, channel, maps + channel * b.stride); });
    threads::loop(kPoints, [&](int64_t p) {
      multiply(transposed ? 'T' : 'N', 'N', to, b.stride, from, kernels + p * from * to, transposed ? to : from,
               maps + p * from * b.stride, b.stride, 0.0f, products + p * to * b.stride, b.stride);
    });
    threads::loop(to, [&](int64_t channel) { results(t, b, products + channel * b.stride, to, channel, y); });
  }
}
}  // namespace

bool suits(const Convolution &c) {
  return c.kernel_height == 3 && c.kernel_width == 3 && c.stride == 1 && c.groups == 1 && c.top == c.dilation &&
         c.left == c.dilation && c.out_height == c.height && c.out_width == c.width &&
         c.in_channels >= 16 && c.out_channels >= 16 && c.batch * c.in_pixels() >= kFewestTiles * kTile * kTile;
}

void forward(const Convolution &c, const float *x, const float *weight, float *y) {
  float *points = threads::scratch(kKernels, kPoints * c.in_channels * c.out_channels);
  kernels(c, weight, false, points);
  convolve(c, c.in_channels, c.out_channels, x, points, false, y);
}

void gradient_of_map(const Convolution &c, const float *dy, const float *weight, float *dx) {
  float *points = threads::scratch(kKernels, kPoints * c.in_channels * c.out_channels);
  kernels(c, weight, true, points);
  convolve(c, c.out_channels, c.in_channels, dy, points, true, dx);
}

void gradient_of_weight(const Convolution &c, const float *dy, const float *x, float *dweight) {
  const Tiling t(c);
  const int64_t from = c.in_channels, to = c.out_channels, count = from * to;
  float *points = threads::scratch(kKernels, kPoints * count);
  bool first = true;
  for (const Batch &b : batches(t, from + to)) {
    float *maps = threads::scratch(kMaps, kPoints * from * b.stride);
    float *gradients = threads::scratch(kProducts, kPoints * to * b.stride);
    threads::loop(from, [&](int64_t channel) { windows(t, b, x, from, channel, maps + channel * b.stride); });
    threads::loop(to, [&](int64_t channel) { tiles(t, b, dy, to, channel, gradients + channel * b.stride); });
    threads::loop(kPoints, [&](int64_t p) {
      multiply('N', 'T', to, from, b.stride, gradients + p * to * b.stride, b.stride, maps + p * from * b.stride,
               b.stride, first ? 0.0f : 1.0f, points + p * count, from);
    });
    first = false;
  }
  kernels_back(c, points, dweight);
}
}  // namespace winograd
