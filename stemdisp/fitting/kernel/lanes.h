// Numbers side by side: one operation on W of them.  The same arithmetic runs on a CPU (W lanes of a vector register) and
// on a GPU (W = 1: one number a thread).  Only what the kernels need.
//
// Each translation unit is compiled for one instruction set and keeps its code in a namespace of its own
// (STEMDISP_LEVEL), so that no linker takes the code of one for another.
#pragma once

#ifdef __CUDACC__
#define STEMDISP_INLINE __device__ __forceinline__
#else
#if defined(_MSC_VER)
#define STEMDISP_INLINE __forceinline
#else
#define STEMDISP_INLINE inline __attribute__((always_inline))
#endif
#endif

#ifndef STEMDISP_LEVEL
#define STEMDISP_LEVEL device
#endif

// GCC's and Clang's vectors; other compilers (MSVC, NVRTC) compute one number at a time.
#if defined(__GNUC__) && !defined(__CUDACC__) && !defined(STEMDISP_ONE_BY_ONE)
#define STEMDISP_VECTORS
#endif

namespace stemdisp {
namespace STEMDISP_LEVEL {

template <class T>
struct Bits;
template <>
struct Bits<float> {
    using type = int;
};
template <>
struct Bits<double> {
    using type = long long;
};

// One number: on a GPU, and where a compiler has no vectors.
template <class T, int W>
struct Lanes;

template <class T>
struct Lanes<T, 1> {
    using Scalar = T;
    using Mask = bool;
    static constexpr int width = 1;
    T v;
    STEMDISP_INLINE Lanes() {}
    STEMDISP_INLINE Lanes(T x) : v(x) {}
    static STEMDISP_INLINE Lanes load(const T* p) { return Lanes(*p); }
    static STEMDISP_INLINE Lanes count() { return Lanes(T(0)); }
    STEMDISP_INLINE void store(T* p) const { *p = v; }
    STEMDISP_INLINE T sum() const { return v; }
    STEMDISP_INLINE T lane(int) const { return v; }
    STEMDISP_INLINE void set(int, T x) { v = x; }
};

template <class T>
STEMDISP_INLINE Lanes<T, 1> operator+(Lanes<T, 1> a, Lanes<T, 1> b) { return Lanes<T, 1>(a.v + b.v); }
template <class T>
STEMDISP_INLINE Lanes<T, 1> operator-(Lanes<T, 1> a, Lanes<T, 1> b) { return Lanes<T, 1>(a.v - b.v); }
template <class T>
STEMDISP_INLINE Lanes<T, 1> operator*(Lanes<T, 1> a, Lanes<T, 1> b) { return Lanes<T, 1>(a.v * b.v); }
template <class T>
STEMDISP_INLINE Lanes<T, 1> operator/(Lanes<T, 1> a, Lanes<T, 1> b) { return Lanes<T, 1>(a.v / b.v); }
template <class T>
STEMDISP_INLINE bool operator<(Lanes<T, 1> a, Lanes<T, 1> b) { return a.v < b.v; }
template <class T>
STEMDISP_INLINE bool operator<=(Lanes<T, 1> a, Lanes<T, 1> b) { return a.v <= b.v; }
template <class T>
STEMDISP_INLINE Lanes<T, 1> select(bool mask, Lanes<T, 1> a, Lanes<T, 1> b) { return mask ? a : b; }
STEMDISP_INLINE bool both(bool a, bool b) { return a && b; }
STEMDISP_INLINE bool either(bool a, bool b) { return a || b; }
STEMDISP_INLINE bool inverse(bool a) { return !a; }
STEMDISP_INLINE bool any(bool mask) { return mask; }
template <class T>
STEMDISP_INLINE bool is_number(Lanes<T, 1> a) { return a.v == a.v; }

#ifdef STEMDISP_VECTORS

// W numbers in a vector register (GCC and Clang vector extensions).
template <class T, int W>
struct Lanes {
    using Scalar = T;
    using Int = typename Bits<T>::type;
    typedef T Vector __attribute__((vector_size(sizeof(T) * W)));
    typedef Int Mask __attribute__((vector_size(sizeof(T) * W)));
    static constexpr int width = W;
    Vector v;
    STEMDISP_INLINE Lanes() {}
    STEMDISP_INLINE Lanes(T x) : v(x - Vector{}) {}  // x - 0 is x; 0 + x is not, for -0, and costs an addition
    static STEMDISP_INLINE Lanes of(Vector x) {
        Lanes r;
        r.v = x;
        return r;
    }
    static STEMDISP_INLINE Lanes load(const T* p) {
        Lanes r;
        __builtin_memcpy(&r.v, p, sizeof(Vector));
        return r;
    }
    static STEMDISP_INLINE Lanes count() {
        Lanes r;
        for (int i = 0; i < W; ++i) r.v[i] = T(i);
        return r;
    }
    STEMDISP_INLINE void store(T* p) const { __builtin_memcpy(p, &v, sizeof(Vector)); }
    STEMDISP_INLINE T sum() const {
        if constexpr (W == 2) {
            return v[0] + v[1];
        } else {
            Lanes<T, W / 2> low, high;
            __builtin_memcpy(&low.v, &v, sizeof(low.v));
            __builtin_memcpy(&high.v, (const char*)&v + sizeof(low.v), sizeof(high.v));
            return (low + high).sum();
        }
    }
    STEMDISP_INLINE T lane(int i) const { return v[i]; }
    STEMDISP_INLINE void set(int i, T x) { v[i] = x; }
};

template <class T, int W>
STEMDISP_INLINE Lanes<T, W> operator+(Lanes<T, W> a, Lanes<T, W> b) { return Lanes<T, W>::of(a.v + b.v); }
template <class T, int W>
STEMDISP_INLINE Lanes<T, W> operator-(Lanes<T, W> a, Lanes<T, W> b) { return Lanes<T, W>::of(a.v - b.v); }
template <class T, int W>
STEMDISP_INLINE Lanes<T, W> operator*(Lanes<T, W> a, Lanes<T, W> b) { return Lanes<T, W>::of(a.v * b.v); }
template <class T, int W>
STEMDISP_INLINE Lanes<T, W> operator/(Lanes<T, W> a, Lanes<T, W> b) { return Lanes<T, W>::of(a.v / b.v); }
template <class T, int W>
STEMDISP_INLINE typename Lanes<T, W>::Mask operator<(Lanes<T, W> a, Lanes<T, W> b) { return a.v < b.v; }
template <class T, int W>
STEMDISP_INLINE typename Lanes<T, W>::Mask operator<=(Lanes<T, W> a, Lanes<T, W> b) { return a.v <= b.v; }
template <class T, int W>
STEMDISP_INLINE Lanes<T, W> select(typename Lanes<T, W>::Mask mask, Lanes<T, W> a, Lanes<T, W> b) {
    return Lanes<T, W>::of(mask ? a.v : b.v);
}
template <class M>
STEMDISP_INLINE M both(M a, M b) { return a & b; }
template <class M>
STEMDISP_INLINE M either(M a, M b) { return a | b; }
template <class M>
STEMDISP_INLINE M inverse(M a) { return ~a; }
template <class M>
STEMDISP_INLINE bool any(M mask) {
    long long s = 0;
    for (unsigned i = 0; i < sizeof(M) / sizeof(mask[0]); ++i) s |= mask[i];
    return s != 0;
}
template <class T, int W>
STEMDISP_INLINE typename Lanes<T, W>::Mask is_number(Lanes<T, W> a) { return a.v == a.v; }

#endif

// Bits of a number as an integer of its size, and back.
template <class T>
STEMDISP_INLINE Lanes<T, 1> scaled_by_power(Lanes<T, 1> x, Lanes<T, 1> shifted) {
    constexpr int mantissa = sizeof(T) == 4 ? 23 : 52;
    using Int = typename Bits<T>::type;
    constexpr Int bias = sizeof(T) == 4 ? 127 : 1023;
    union {
        T number;
        Int bits;
    } power;
    power.number = shifted.v;
    power.bits = Int((unsigned long long)(power.bits) << mantissa) + (bias << mantissa);
    return Lanes<T, 1>(x.v * power.number);
}

#ifdef STEMDISP_VECTORS
template <class T, int W>
STEMDISP_INLINE Lanes<T, W> scaled_by_power(Lanes<T, W> x, Lanes<T, W> shifted) {
    constexpr int mantissa = sizeof(T) == 4 ? 23 : 52;
    using Mask = typename Lanes<T, W>::Mask;
    constexpr typename Bits<T>::type bias = sizeof(T) == 4 ? 127 : 1023;
    Mask bits = ((Mask)shifted.v << mantissa) + (bias << mantissa);
    return Lanes<T, W>::of(x.v * (typename Lanes<T, W>::Vector)bits);
}
#endif

template <class L>
STEMDISP_INLINE L smaller(L a, L b) { return select(a < b, a, b); }
template <class L>
STEMDISP_INLINE L larger(L a, L b) { return select(a < b, b, a); }

// 2^x for x <= 0, to 2 units in the last place (float) or 1e-13 (double); below the smallest normal number it stays there.
// x = n + f: adding and taking off 1.5 * 2^mantissa rounds x to n, whose bits then stand in the sum.  Must not be compiled
// with -ffast-math, which deletes the rounding.
template <class L>
STEMDISP_INLINE L power_of_two(L x) {
    using T = typename L::Scalar;
    constexpr bool single = sizeof(T) == 4;
    const L magic(single ? T(12582912.0) : T(6755399441055744.0));
    x = larger(x, L(single ? T(-126.0) : T(-1022.0)));
    const L shifted = x + magic;
    const L f = x - (shifted - magic);
    // Taylor series of exp(f ln 2), |f| <= 1/2.
    L p;
    if (single) {
        p = L(T(1.5403530393381609e-4));
    } else {
        p = L(T(7.0549116208011210e-9));
        p = p * f + L(T(1.0178086009239699e-7));
        p = p * f + L(T(1.3215486790144307e-6));
        p = p * f + L(T(1.5252733804059840e-5));
        p = p * f + L(T(1.5403530393381609e-4));
    }
    p = p * f + L(T(1.3333558146428443e-3));
    p = p * f + L(T(9.6181291076284772e-3));
    p = p * f + L(T(5.5504108664821580e-2));
    p = p * f + L(T(2.4022650695910072e-1));
    p = p * f + L(T(6.9314718055994531e-1));
    p = p * f + L(T(1));
    return scaled_by_power(p, shifted);
}

constexpr double LOG2_E = 1.4426950408889634;  // exp(x) = 2^(x LOG2_E)

// exp(x) for x <= 0.
template <class L>
STEMDISP_INLINE L exp_negative(L x) {
    return power_of_two(x * L(typename L::Scalar(LOG2_E)));
}

// As many numbers as a vector register of this level holds.
#if defined(STEMDISP_VECTORS) && defined(STEMDISP_BYTES)
template <class T>
using Widest = Lanes<T, STEMDISP_BYTES / int(sizeof(T))>;
#else
template <class T>
using Widest = Lanes<T, 1>;
#endif

}  // namespace STEMDISP_LEVEL
}  // namespace stemdisp
