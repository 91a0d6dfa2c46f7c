// As many numbers at once as a register of the processor holds. Compilers take comparisons and choices of anything wider
// apart into single numbers.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
constexpr int64_t kLanes = 16;
#elif defined(__AVX__)
constexpr int64_t kLanes = 8;
#else
constexpr int64_t kLanes = 4;
#endif
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

template <class T>
inline void store(float *to, T v) {
  std::memcpy(to, &v, sizeof(v));
}

inline Lanes load(const float *from) {
  Lanes v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}

inline float sum(Lanes v) {
  float total = 0.0f;
  for (int64_t i = 0; i < kLanes; i++) total += v[i];
  return total;
}

// One number or `kLanes`, so that a formula is written once.
template <class T>
inline T load_as(const float *from) {
  T v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}

// step(type, i) for all of [0, n): `kLanes` numbers at a time, the rest one by one.
template <class Step>
inline void for_each_vector(int64_t n, Step step) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) step(Lanes{}, i);
  for (; i < n; i++) step(float{}, i);
}

// Sum of value(type, i) over [0, n).
template <class Value>
inline double sum_of_vectors(int64_t n, Value value) {
  Lanes sums[4] = {};
  double rest = 0.0;
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int k = 0; k < 4; k++) sums[k] += value(Lanes{}, i + k * kLanes);
  }
  for (; i + kLanes <= n; i += kLanes) sums[0] += value(Lanes{}, i);
  for (; i < n; i++) rest += value(float{}, i);
  return rest + sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

inline Lanes fill(float value) { return Lanes{} + value; }

inline int64_t whole_lanes(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// e^x to 2e-7 relative, 0 below -87 and 3e38 above 88.
inline Lanes exp(Lanes x) {
  typedef int32_t Integers __attribute__((vector_size(kLanes * sizeof(int32_t))));
  const Lanes least = fill(-87.0f), most = fill(88.0f);
  x = x < least ? least : x;
  x = x > most ? most : x;
  const Lanes round = fill(12582912.0f);  // 1.5 * 2^23: adding it leaves no room for a fraction
  const Lanes n = (x * 1.44269504f + round) - round;
  const Lanes r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  Lanes p = r * 1.98756915e-4f + 1.39819995e-3f;
  p = p * r + 8.33345190e-3f;
  p = p * r + 4.16657959e-2f;
  p = p * r + 1.66666655e-1f;
  p = p * r + 0.5f;
  p = p * r * r + r + 1.0f;
  const Integers power = (__builtin_convertvector(n, Integers) + 127) << 23;
  Lanes scale;
  std::memcpy(&scale, &power, sizeof(scale));
  return p * scale;
}

inline float exp(float x) { return exp(fill(x))[0]; }
