// A column and a knot of the background under rows of pixels.
//
// A column is A P(d), P = (1 - w) exp(-r2 / 2 s2) + w exp(-r2 / 2 k2 s2), r2 = d' M d, det M = 1, inside a disc around its
// centre; what is left at the rim is taken off, so that no column ends in a step.  A knot of the background is a product of
// two hat functions.
#pragma once

#include <cmath>

#include "lanes.h"
#include "tables.h"

namespace stemdisp {
namespace STEMDISP_LEVEL {

// Sampled pixels [low, high) of an interval of one axis.
STEMDISP_INLINE void samples(double from, double to, double origin, double step, int n, int& low, int& high) {
    const double a = (from - origin) / step, b = (to - origin) / step;
    int first = int(a);
    if (first < a) ++first;  // ceil; a may be negative, then 0 is the first
    if (a <= 0) first = 0;
    int last = b < 0 ? -1 : int(b);
    if (last > n - 1) last = n - 1;
    low = first;
    high = last + 1;
}

// What a column is made of, as numbers of one precision.
template <class T>
struct Column {
    double x, y, sx, sy, radius;
    T amplitude, rim, core_rate, wide_rate, core_slope, wide_slope, core_part, wide_part;

    STEMDISP_INLINE Column(const ColumnTable& c, const Profile& p, int i)
        : x(c.xy[2 * i]), y(c.xy[2 * i + 1]), sx(c.start[2 * i]), sy(c.start[2 * i + 1]), radius(c.radius[i]),
          amplitude(T(c.amplitude[i])), rim(T(c.rim[i])), core_rate(T(-LOG2_E * c.half[i])),
          wide_rate(T(-LOG2_E * c.half[i] * p.wide)), core_slope(T(2 * c.half[i] * (1 - p.tail))),
          wide_slope(T(2 * c.half[i] * p.tail * p.wide)), core_part(T(1 - p.tail)), wide_part(T(p.tail)) {}
};

// A Gaussian 2^(rate r2) under one vector of pixels, row by row: G(y + h) = G(y) R(y), R(y + h) = R(y) C, so that only the
// first needs exponentials.  Rows are to be visited outwards, so that nothing that underflows is needed again.
template <class L>
struct GaussianStrip {
    L value, ratio, turn;

    STEMDISP_INLINE GaussianStrip() {}
    // At dx and dy from the centre, rows `step` apart.
    STEMDISP_INLINE GaussianStrip(L rate, L m00, L m01, L m11, L dx, L dy, L step) {
        const L along = m01 * dx + m11 * dy;
        value = power_of_two(rate * (m00 * dx * dx + (along + m01 * dx) * dy));
        ratio = power_of_two(rate * step * (along + along + m11 * step));
        turn = power_of_two((rate + rate) * m11 * step * step);
    }
    STEMDISP_INLINE void advance() {
        value = value * ratio;
        ratio = ratio * turn;
    }
};

// A knot of the background along one row.
template <class L>
struct KnotRow {
    using T = typename L::Scalar;
    double x, y, spacing;
    T per_px, height;

    STEMDISP_INLINE KnotRow(const KnotTable& k, int i)
        : x(k.x0 + k.spacing * (i % k.nx)), y(k.y0 + k.spacing * (i / k.nx)), spacing(k.spacing),
          per_px(T(1 / k.spacing)), height(0) {}
    STEMDISP_INLINE bool row(double at) {
        const double away = (at - y) / spacing;
        height = T(1 - (away < 0 ? -away : away));
        return height > T(0);
    }
    STEMDISP_INLINE L value(double at_x, L lanes) const {
        const L u = (lanes + L(T(at_x - x))) * L(per_px), zero(T(0));
        return L(height) * larger(L(T(1)) - larger(u, zero - u), zero);
    }
};

}  // namespace STEMDISP_LEVEL
}  // namespace stemdisp
