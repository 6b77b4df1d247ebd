// A square of numbers turned about its diagonal, in vector registers.
#pragma once

#include "lanes.h"

namespace stemdisp {
namespace STEMDISP_LEVEL {

template <int... I>
struct Numbers {};
template <int N, int... I>
struct UpTo : UpTo<N - 1, N - 1, I...> {};
template <int... I>
struct UpTo<0, I...> {
    using type = Numbers<I...>;
};

// Exchanges a's places with bit S set with b's places without it.
template <int S, class L, int... I>
STEMDISP_INLINE void exchange(L& a, L& b, Numbers<I...>) {
#ifdef STEMDISP_VECTORS
    constexpr int W = L::width;
    const auto low = __builtin_shufflevector(a.v, b.v, ((I & S) ? W + I - S : I)...);
    const auto high = __builtin_shufflevector(a.v, b.v, ((I & S) ? W + I : I + S)...);
    a.v = low;
    b.v = high;
#endif
}

template <int S, class L>
STEMDISP_INLINE void transpose(L* rows) {
    if constexpr (S < L::width) {
        for (int i = 0; i < L::width; ++i)
            if (!(i & S)) exchange<S>(rows[i], rows[i + S], typename UpTo<L::width>::type());
        transpose<2 * S>(rows);
    }
}

}  // namespace STEMDISP_LEVEL
}  // namespace stemdisp
