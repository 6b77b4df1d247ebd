// A column and a knot of the background along rows of pixels.
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

// A column along one row of pixels: what does not change along the row.
template <class L, bool TAIL>
struct ColumnRow {
    using T = typename L::Scalar;
    double x, sx, y, sy, radius;
    T amplitude, rim, core_rate, wide_rate, core_slope, wide_slope, core_part, wide_part, m00, m01, m11;
    T dy, c0, c1, to_start, room;
    double half;  // of the disc's chord

    STEMDISP_INLINE ColumnRow(const ColumnTable& c, const Profile& p, int i)
        : x(c.xy[2 * i]), sx(c.start[2 * i]), y(c.xy[2 * i + 1]), sy(c.start[2 * i + 1]), radius(c.radius[i]),
          amplitude(T(c.amplitude[i])), rim(T(c.rim[i])), core_rate(T(-LOG2_E * c.half[i])), wide_rate(T(-LOG2_E * c.half[i] * p.wide)),
          core_slope(T(2 * c.half[i] * (1 - p.tail))), wide_slope(T(2 * c.half[i] * p.tail * p.wide)),
          core_part(T(1 - p.tail)), wide_part(T(p.tail)), m00(T(p.m00)), m01(T(p.m01)), m11(T(p.m11)), dy(0), c0(0),
          c1(0), to_start(T(x - sx)), room(0), half(0) {}

    STEMDISP_INLINE void rows(const Raster& r, int& j0, int& j1) const {
        samples(sy - radius, sy + radius, r.y0, r.step, r.ny, j0, j1);
    }
    STEMDISP_INLINE bool row(double at) {
        const double away = at - sy, left = radius * radius - away * away;
        if (left < 0) return false;
        dy = T(at - y);
        c0 = m11 * dy * dy;
        c1 = T(2) * m01 * dy;
        room = T(left);
        half = std::sqrt(left);
        return true;
    }
    STEMDISP_INLINE L offset(double at, L lanes) const { return lanes + L(T(at - x)); }
    STEMDISP_INLINE typename L::Mask inside(L dx) const {
        const L ds = dx + L(to_start);
        return ds * ds <= L(room);
    }
    STEMDISP_INLINE L r2(L dx) const { return (L(m00) * dx + L(c1)) * dx + L(c0); }
    STEMDISP_INLINE L core(L r2) const { return power_of_two(L(core_rate) * r2); }
    STEMDISP_INLINE L wide(L r2) const { return power_of_two(L(wide_rate) * r2); }
    // Profile P without its rim and slope q (dP = q M d) at dx, and the tail's exponential.
    STEMDISP_INLINE L profile(L s, L& core_, L& tail, L& slope) const {
        core_ = core(s);
        slope = L(core_slope) * core_;
        if (!TAIL) return core_ - L(rim);
        tail = wide(s);
        slope = slope + L(wide_slope) * tail;
        return L(core_part) * core_ + L(wide_part) * tail - L(rim);
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
