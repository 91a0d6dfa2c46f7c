// GELU, elementwise: x Phi(x), or in the tanh form x (1 + tanh(t)) / 2 = x sigmoid(2 t), t = sqrt(2 / pi) (x + 0.044715 x^3).
#include "call.h"
#include "vectors.h"

namespace {
template <class T>
T sigmoid(T x) {
  return 1.0f / (1.0f + exp(-x));
}

// Phi(x) = sigmoid(x P(x^2)) with P fitted to logit(Phi(x)) / x on [0, 5.5]: Phi is wrong by less than 1.5e-7; beyond
// 5.5 x (1 - Phi(x)) is below 1.1e-7, so that x^2 may be clamped there.
struct Exact {
  template <class T>
  static T gate(T x) {
    const T square = x * x, most = T{} + 30.25f, q = square < most ? square : most;
    T p = q * 3.611250534e-9f - 2.668936127e-7f;
    p = p * q + 7.938232016e-6f;
    p = p * q - 1.104804167e-4f;
    p = p * q - 6.625962880e-5f;
    p = p * q + 7.266856648e-2f;
    p = p * q + 1.595768432f;
    return sigmoid(x * p);
  }
  template <class T>
  static T slope(T x) {
    return gate(x) + x * exp(x * x * -0.5f) * 0.3989422804f;
  }
};

struct Tanh {
  template <class T>
  static T gate(T x) {
    return sigmoid(x * (x * x * 0.0713548163f + 1.5957691216f));
  }
  template <class T>
  static T slope(T x) {
    const T g = gate(x);
    return g + x * (x * x * 0.2140644489f + 1.5957691216f) * g * (1.0f - g);
  }
};

template <class Form>
void forward(const Call &call) {
  threads::parts(call.size(0), [&](int64_t begin, int64_t end) {
    const float *x = call.at(0) + begin;
    float *y = call.at(1) + begin;
    for_each_vector(end - begin, [&](auto type, int64_t i) {
      const auto v = load_as<decltype(type)>(x + i);
      store(y + i, v * Form::gate(v));
    });
  });
}

template <class Form>
void gradient(const Call &call) {
  threads::parts(call.size(0), [&](int64_t begin, int64_t end) {
    const float *dy = call.at(0) + begin, *x = call.at(1) + begin;
    float *dx = call.at(2) + begin;
    for_each_vector(end - begin, [&](auto type, int64_t i) {
      store(dx + i, load_as<decltype(type)>(dy + i) * Form::slope(load_as<decltype(type)>(x + i)));
    });
  });
}
}  // namespace

// x -> y
OPERATOR(Gelu) { forward<Exact>(call); }
OPERATOR(GeluTanh) { forward<Tanh>(call); }

// dy, x -> dx
OPERATOR(GeluGradient) { gradient<Exact>(call); }
OPERATOR(GeluTanhGradient) { gradient<Tanh>(call); }
