// Square root and logarithm of numbers side by side.
#pragma once

#include "lanes.h"

#if !defined(__CUDACC__)
#include <cmath>
#endif

namespace stemdisp {
namespace STEMDISP_LEVEL {

template <class T>
STEMDISP_INLINE T root_of(T x) {
#if defined(__CUDACC__)
    return sqrt(x);
#else
    return std::sqrt(x);
#endif
}

template <class L>
STEMDISP_INLINE L root(L x) {
    L r;
    for (int i = 0; i < L::width; ++i) r.set(i, root_of(x.lane(i)));
    return r;
}

// Splits x > 0 into m 2^n, m in [0.5, 1).
template <class T>
STEMDISP_INLINE void split(Lanes<T, 1> x, Lanes<T, 1>& m, Lanes<T, 1>& n) {
    constexpr int mantissa = sizeof(T) == 4 ? 23 : 52;
    using Int = typename Bits<T>::type;
    constexpr Int below = (Int(1) << mantissa) - 1, half = Int(sizeof(T) == 4 ? 126 : 1022) << mantissa;
    union {
        T number;
        Int bits;
    } both;
    both.number = x.v;
    n = Lanes<T, 1>(T((both.bits >> mantissa) - (half >> mantissa)));
    both.bits = (both.bits & below) | half;
    m = Lanes<T, 1>(both.number);
}

#ifdef STEMDISP_VECTORS
template <class T, int W>
STEMDISP_INLINE void split(Lanes<T, W> x, Lanes<T, W>& m, Lanes<T, W>& n) {
    constexpr int mantissa = sizeof(T) == 4 ? 23 : 52;
    using Int = typename Bits<T>::type;
    using Mask = typename Lanes<T, W>::Mask;
    constexpr Int below = (Int(1) << mantissa) - 1, half = Int(sizeof(T) == 4 ? 126 : 1022) << mantissa;
    const Mask bits = (Mask)x.v, power = (bits >> mantissa) - (half >> mantissa);
    n = Lanes<T, W>::of(__builtin_convertvector(power, typename Lanes<T, W>::Vector));
    m = Lanes<T, W>::of((typename Lanes<T, W>::Vector)((bits & below) | half));
}
#endif

// ln x for normal x > 0, to 3 units in the last place (float) or 1e-13 (double): with m in [sqrt(1/2), sqrt 2) and
// s = (m - 1) / (m + 1), ln m = 2 (s + s^3 / 3 + s^5 / 5 + ...).
template <class L>
STEMDISP_INLINE L log_positive(L x) {
    using T = typename L::Scalar;
    constexpr bool single = sizeof(T) == 4;
    L m, n;
    split(x, m, n);
    const auto low = m < L(T(0.70710678118654752));
    m = select(low, m + m, m);
    n = select(low, n - L(T(1)), n);
    const L s = (m - L(T(1))) / (m + L(T(1))), t = s * s;
    L p(T(single ? 2.0 / 9 : 2.0 / 19));
    if (!single) {
        p = p * t + L(T(2.0 / 17));
        p = p * t + L(T(2.0 / 15));
        p = p * t + L(T(2.0 / 13));
        p = p * t + L(T(2.0 / 11));
        p = p * t + L(T(2.0 / 9));
    }
    p = p * t + L(T(2.0 / 7));
    p = p * t + L(T(2.0 / 5));
    p = p * t + L(T(2.0 / 3));
    p = p * t + L(T(2));
    return p * s + n * L(T(0.69314718055994531));
}

}  // namespace STEMDISP_LEVEL
}  // namespace stemdisp
