// Batch norm with an activation after it: x [B, C, H, W], gamma, beta [C] -> y = act(gamma (x - mean) / deviation + beta).
// Options: epsilon, activation. The gradients compute the input of the activation anew.
#include <cmath>
#include <stdexcept>

#include "call.h"
#include "vectors.h"

namespace {
struct Identity {
  template <class T>
  static T apply(T z) {
    return z;
  }
  template <class T>
  static T gradient(T, T dy) {
    return dy;
  }
};

struct Relu {
  template <class T>
  static T apply(T z) {
    return z > T{} ? z : T{};
  }
  template <class T>
  static T gradient(T z, T dy) {
    return z > T{} ? dy : T{};
  }
};

struct Relu6 {
  template <class T>
  static T apply(T z) {
    const T low = z > T{} ? z : T{}, six = T{} + 6.0f;
    return low < six ? low : six;
  }
  template <class T>
  static T gradient(T z, T dy) {
    const T low = z > T{} ? dy : T{};
    return z < T{} + 6.0f ? low : T{};
  }
};

struct Maps {
  int64_t batch, channels, pixels;
  float epsilon;

  Maps(const int64_t *shape, float epsilon)
      : batch(shape[0]), channels(shape[1]), pixels(shape[2] * shape[3]), epsilon(epsilon) {}

  int64_t plane(int64_t image, int64_t channel) const { return (image * channels + channel) * pixels; }
  double count() const { return static_cast<double>(batch) * pixels; }
  float slope(float gamma, float variance) const { return gamma / std::sqrt(variance + epsilon); }
};

template <class Act>
void apply(const Maps &m, int64_t channel, const float *x, float mean, float slope, float beta, float *y) {
  for (int64_t image = 0; image < m.batch; image++) {
    const float *from = x + m.plane(image, channel);
    float *to = y + m.plane(image, channel);
    for_each_vector(m.pixels, [&](auto type, int64_t i) {
      store(to + i, Act::apply((load_as<decltype(type)>(from + i) - mean) * slope + beta));
    });
  }
}

// Sum of value(type, index) over the channel's pixels.
template <class Value>
double total(const Maps &m, int64_t channel, Value value) {
  double total = 0.0;
  for (int64_t image = 0; image < m.batch; image++) {
    const int64_t first = m.plane(image, channel);
    total += sum_of_vectors(m.pixels, [&](auto type, int64_t i) { return value(type, first + i); });
  }
  return total;
}

template <class Act>
void of_batch(const Call &call, const Maps &m) {
  const float *x = call.at(0), *gamma = call.at(1), *beta = call.at(2);
  float *y = call.at(4), *means = call.at(5), *variances = call.at(6);
  threads::loop(m.channels, [&](int64_t c) {
    auto at = [&](auto type, int64_t i) { return load_as<decltype(type)>(x + i); };
    const float mean = static_cast<float>(total(m, c, at) / m.count());
    auto squared = [&](auto type, int64_t i) { return (at(type, i) - mean) * (at(type, i) - mean); };
    const float variance = static_cast<float>(total(m, c, squared) / m.count());
    means[c] = mean;
    variances[c] = variance;
    apply<Act>(m, c, x, mean, m.slope(gamma[c], variance), beta[c], y);
  });
}

template <class Act>
void with_given(const Call &call, const Maps &m) {
  const float *gamma = call.at(1), *beta = call.at(2), *means = call.at(3), *variances = call.at(4);
  threads::loop(m.channels, [&](int64_t c) {
    apply<Act>(m, c, call.at(0), means[c], m.slope(gamma[c], variances[c]), beta[c], call.at(6));
  });
}

// `of_batch`: mean and variance depend on x.
template <class Act>
void gradient(const Call &call, const Maps &m, bool of_batch) {
  const float *dy = call.at(0), *x = call.at(1), *gammas = call.at(2), *betas = call.at(3), *means = call.at(4),
              *variances = call.at(5);
  float *dx = call.at(7), *dgamma = call.at(8), *dbeta = call.at(9);
  threads::loop(m.channels, [&](int64_t c) {
    const float mean = means[c], beta = betas[c], slope = m.slope(gammas[c], variances[c]);
    const float inverse = m.slope(1.0f, variances[c]);
    auto centered = [&](auto type, int64_t i) { return load_as<decltype(type)>(x + i) - mean; };
    auto incoming = [&](auto type, int64_t i) {
      return Act::gradient(centered(type, i) * slope + beta, load_as<decltype(type)>(dy + i));
    };
    const double sum = total(m, c, incoming);
    const double product =
        total(m, c, [&](auto type, int64_t i) { return incoming(type, i) * centered(type, i); }) * inverse;
    dbeta[c] = static_cast<float>(sum);
    dgamma[c] = static_cast<float>(product);
    const float shift = of_batch ? static_cast<float>(sum / m.count()) : 0.0f;
    const float turn = of_batch ? static_cast<float>(product / m.count()) * inverse : 0.0f;
    for (int64_t image = 0; image < m.batch; image++) {
      const int64_t first = m.plane(image, c);
      for_each_vector(m.pixels, [&](auto type, int64_t i) {
        store(dx + first + i, slope * (incoming(type, first + i) - shift - centered(type, first + i) * turn));
      });
    }
  });
}

// Call kernel(activation) with the activation that the options name.
template <class Kernel>
void with_activation(const float *options, Kernel kernel) {
  const int activation = static_cast<int>(options[1]);
  if (activation == 0) return kernel(Identity());
  if (activation == 1) return kernel(Relu());
  if (activation == 2) return kernel(Relu6());
  throw std::invalid_argument("unknown activation");
}
}  // namespace

// x, gamma, beta, options -> y, mean [C], variance [C] of the batch
OPERATOR(NormalizeBatch) {
  const float *options = call.at(3);
  with_activation(options, [&](auto act) { of_batch<decltype(act)>(call, Maps(call.shape(0), options[0])); });
}

// x, gamma, beta, mean, variance, options -> y
OPERATOR(NormalizeGiven) {
  const float *options = call.at(5);
  with_activation(options, [&](auto act) { with_given<decltype(act)>(call, Maps(call.shape(0), options[0])); });
}

// dy, x, gamma, beta, mean, variance, options -> dx, dgamma, dbeta
OPERATOR(NormalizeBatchGradient) {
  const float *options = call.at(6);
  with_activation(options, [&](auto act) { gradient<decltype(act)>(call, Maps(call.shape(0), options[0]), true); });
}

// The same where mean and variance are constants.
OPERATOR(NormalizeGivenGradient) {
  const float *options = call.at(6);
  with_activation(options, [&](auto act) { gradient<decltype(act)>(call, Maps(call.shape(0), options[0]), false); });
}
