// Sums of a joint fit over the pixels of an image: the model and its weighted residual, gradients of columns, curvature of
// pairs.  Every function does one task (a bin of pixels, a column, a pair) and writes only what is that task's own, so
// that the order of tasks, and how many run at once, changes nothing.
//
// A column is A P(d), P = (1 - w) exp(-r2 / 2 s2) + w exp(-r2 / 2 k2 s2), r2 = d' M d, det M = 1, inside a disc around its
// start; a knot of the background is a product of two hat functions.
#pragma once

#include "lanes.h"
#include "tables.h"

namespace stemdisp {
namespace STEMDISP_LEVEL {

// One thread, or several that share the pixels of a task and add up what they found.
struct Alone {
    static constexpr int rank = 0, size = 1;
    STEMDISP_INLINE double sum(double x) const { return x; }
};

// A column along one row of pixels: what does not change along the row.
template <class L, bool TAIL>
struct ColumnRow {
    using T = typename L::Scalar;
    static constexpr int terms = 3;
    double x, sx, y, sy, r2max;
    T amplitude, half, m00, m01, m11, tail, wide;
    T dy, c0, c1, to_start, room;

    STEMDISP_INLINE ColumnRow(const ColumnTable& c, const Profile& p, int i)
        : x(c.xy[2 * i]), sx(c.start[2 * i]), y(c.xy[2 * i + 1]), sy(c.start[2 * i + 1]),
          r2max(c.radius[i] * c.radius[i]), amplitude(T(c.amplitude[i])), half(T(c.half[i])), m00(T(p.m00)),
          m01(T(p.m01)), m11(T(p.m11)), tail(T(p.tail)), wide(T(p.wide)), dy(0), c0(0), c1(0), to_start(0), room(0) {}

    STEMDISP_INLINE void box(double& low_x, double& high_x, double& low_y, double& high_y, double radius) const {
        low_x = sx - radius, high_x = sx + radius, low_y = sy - radius, high_y = sy + radius;
    }
    STEMDISP_INLINE bool row(double at) {
        const double away = at - sy;
        dy = T(at - y);
        c0 = m11 * dy * dy;
        c1 = T(2) * m01 * dy;
        to_start = T(x - sx);
        room = T(r2max - away * away);
        return room >= T(0);
    }
    STEMDISP_INLINE L offset(double at, L lanes) const { return lanes + L(T(at - x)); }
    STEMDISP_INLINE typename L::Mask inside(L dx) const {
        const L ds = dx + L(to_start);
        return ds * ds <= L(room);
    }
    struct Value {
        L core, wide, value, q, r2;
    };
    STEMDISP_INLINE Value at(L dx) const {
        Value v;
        v.r2 = (L(m00) * dx + L(c1)) * dx + L(c0);
        v.core = exp_negative(L(-half) * v.r2);
        if (TAIL) {
            v.wide = exp_negative(L(-half * wide) * v.r2);
            v.value = L(T(1) - tail) * v.core + L(tail) * v.wide;
            v.q = L(T(2) * half * (T(1) - tail)) * v.core + L(T(2) * half * tail * wide) * v.wide;
        } else {
            v.value = v.core;
            v.q = L(T(2) * half) * v.core;
        }
        return v;
    }
    // Derivatives by amplitude, x and y; zero outside the disc.
    STEMDISP_INLINE void derivatives(double at_x, L lanes, L* t) const {
        const L dx = offset(at_x, lanes);
        const auto mask = inside(dx);
        const Value v = at(dx);
        const L slope = L(amplitude) * v.q, zero(T(0));
        t[0] = select(mask, v.value, zero);
        t[1] = select(mask, slope * (L(m00) * dx + L(m01 * dy)), zero);
        t[2] = select(mask, slope * (L(m01) * dx + L(m11 * dy)), zero);
    }
};

// A knot of the background along one row.
template <class L>
struct KnotRow {
    using T = typename L::Scalar;
    static constexpr int terms = 1;
    double x, y, spacing;
    T per_px, height;

    STEMDISP_INLINE KnotRow(const KnotTable& k, int i)
        : x(k.x0 + k.spacing * (i % k.nx)), y(k.y0 + k.spacing * (i / k.nx)), spacing(k.spacing),
          per_px(T(1 / k.spacing)), height(0) {}
    STEMDISP_INLINE void box(double& low_x, double& high_x, double& low_y, double& high_y, double) const {
        low_x = x - spacing, high_x = x + spacing, low_y = y - spacing, high_y = y + spacing;
    }
    STEMDISP_INLINE bool row(double at) {
        const double away = (at - y) / spacing;
        height = T(1 - (away < 0 ? -away : away));
        return height > T(0);
    }
    STEMDISP_INLINE void derivatives(double at_x, L lanes, L* t) const {
        const L u = (lanes + L(T(at_x - x))) * L(per_px), zero(T(0));
        t[0] = L(height) * larger(L(T(1)) - larger(u, zero - u), zero);
    }
};

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

// Background at W neighbouring pixels from x on, in the row y.
template <class L>
STEMDISP_INLINE L background(const KnotTable& k, double x, double last_x, double y, L lanes) {
    using T = typename L::Scalar;
    const double v = (y - k.y0) / k.spacing;
    int j = int(v);
    j = j < 0 ? 0 : (j > k.ny - 2 ? k.ny - 2 : j);
    const double up = v - j, down = 1 - up;
    int i = int((x - k.x0) / k.spacing), end = int((last_x - k.x0) / k.spacing) + 1;
    i = i < 0 ? 0 : i;
    end = end > k.nx - 1 ? k.nx - 1 : end;
    L sum(T(0));
    const L zero(T(0)), one(T(1)), per_px(T(1 / k.spacing));
    for (; i <= end; ++i) {
        const double height = down * k.value[j * k.nx + i] + up * k.value[(j + 1) * k.nx + i];
        const L u = (lanes + L(T(x - k.x0 - i * k.spacing))) * per_px;
        sum = sum + L(T(height)) * larger(one - larger(u, zero - u), zero);
    }
    return sum;
}

// A row of one bin: residual times weight, and weight, of its pixels; both 0 where the image is no number.  Adds the
// weighted squares and the number of pixels used to `total`.
template <class L, bool TAIL>
STEMDISP_INLINE void render_row(const Raster& r, const ColumnTable& columns, const KnotTable& knots, const Profile& p,
                                const Variance& variance, const Bins& bins, int bin, int row,
                                const typename L::Scalar* image, typename L::Scalar* residual,
                                typename L::Scalar* weight, int first_vector, int vectors, double* total) {
    using T = typename L::Scalar;
    constexpr int MOST = BIN / L::width;
    const int i0 = (bin % bins.nx) * BIN, j = (bin / bins.nx) * BIN + row;
    if (j >= r.ny) return;
    const double y = r.y0 + r.step * j;
    const L lanes = L::count() * L(T(r.step));
    L model[MOST];
    for (int v = 0; v < MOST; ++v) {
        if (v < first_vector || v >= first_vector + vectors) continue;
        const double x = r.x0 + r.step * (i0 + v * L::width);
        model[v] = background(knots, x, x + r.step * (L::width - 1), y, lanes);
    }
    for (int m = bins.first[bin]; m < bins.first[bin + 1]; ++m) {
        ColumnRow<L, TAIL> column(columns, p, bins.column[m]);
        if (!column.row(y)) continue;
        for (int v = 0; v < MOST; ++v) {
            if (v < first_vector || v >= first_vector + vectors) continue;
            const L dx = column.offset(r.x0 + r.step * (i0 + v * L::width), lanes);
            const auto mask = column.inside(dx);
            if (!any(mask)) continue;
            model[v] = model[v] + select(mask, L(column.amplitude) * column.at(dx).value, L(T(0)));
        }
    }
    for (int v = 0; v < MOST; ++v) {
        if (v < first_vector || v >= first_vector + vectors) continue;
        const int place = j * r.stride + i0 + v * L::width;
        const L seen = L::load(image + place), zero(T(0)), one(T(1));
        const auto used = is_number(seen);
        const L expected = larger(L(T(variance.offset)) + L(T(variance.gain)) * model[v], L(T(variance.floor)));
        const L w = select(used, one / expected, zero);
        const L rest = select(used, seen - model[v], zero);
        (w * rest).store(residual + place);
        w.store(weight + place);
        total[0] += double((w * rest * rest).sum());
        total[1] += double(select(used, one, zero).sum());
    }
}

// Slopes of the model by a shared shape parameter, times the weight, for a row of one bin.  `group` >= 0: by the log
// width of that group, into slopes[0]; else by m1, m2, w and log k into slopes[0..3].
template <class L, bool TAIL>
STEMDISP_INLINE void slopes_row(const Raster& r, const ColumnTable& columns, const Profile& p, const Bins& bins, int bin,
                                int row, int group, const typename L::Scalar* weight, typename L::Scalar* const* slopes,
                                int first_vector, int vectors) {
    using T = typename L::Scalar;
    const int i0 = (bin % bins.nx) * BIN, j = (bin / bins.nx) * BIN + row;
    if (j >= r.ny) return;
    const double y = r.y0 + r.step * j;
    const L lanes = L::count() * L(T(r.step));
    const T m1 = T(p.m1), m2 = T(p.m2);
    const double squared = 1 - p.m1 * p.m1 - p.m2 * p.m2;
    const T unit = T((p.m00 + p.m11) / 2), unit2 = T(1 / squared);
    for (int v = first_vector; v < first_vector + vectors; ++v) {
        L sum[4];
        for (int s = 0; s < 4; ++s) sum[s] = L(T(0));
        const double x = r.x0 + r.step * (i0 + v * L::width);
        for (int m = bins.first[bin]; m < bins.first[bin + 1]; ++m) {
            const int i = bins.column[m];
            if (group >= 0 && columns.group[i] != group) continue;
            ColumnRow<L, TAIL> column(columns, p, i);
            if (!column.row(y)) continue;
            const L dx = column.offset(x, lanes);
            const auto mask = column.inside(dx);
            if (!any(mask)) continue;
            const auto at = column.at(dx);
            const L strong = select(mask, L(column.amplitude), L(T(0)));
            if (group >= 0) {
                sum[0] = sum[0] + strong * at.q * at.r2;
                continue;
            }
            const L half_q = L(T(-0.5)) * strong * at.q, dy(column.dy);
            sum[0] = sum[0] + half_q * (L(unit) * (dx * dx - dy * dy) + L(unit2 * m1) * at.r2);
            sum[1] = sum[1] + half_q * (L(T(2) * unit) * dx * dy + L(unit2 * m2) * at.r2);
            const L wide = TAIL ? at.wide : exp_negative(L(-column.half * column.wide) * at.r2);
            sum[2] = sum[2] + strong * (wide - at.core);
            sum[3] = sum[3] + strong * L(T(2) * column.half * column.tail * column.wide) * wide * at.r2;
        }
        const int place = j * r.stride + i0 + v * L::width;
        const L w = L::load(weight + place);
        for (int s = 0; s < (group >= 0 ? 1 : 4); ++s) (w * sum[s]).store(slopes[s] + place);
    }
}

// Sums of the weighted residual times the derivatives of column i by A, x, y, log s, m1, m2, w and log k: `sums` (8).
template <class L, bool TAIL, class Team>
STEMDISP_INLINE void gather(const Raster& r, const ColumnTable& columns, const Profile& p, int i,
                            const typename L::Scalar* residual, double* sums, const Team& team) {
    using T = typename L::Scalar;
    ColumnRow<L, TAIL> column(columns, p, i);
    double low_x, high_x, low_y, high_y;
    column.box(low_x, high_x, low_y, high_y, columns.radius[i]);
    int i0, i1, j0, j1;
    samples(low_x, high_x, r.x0, r.step, r.nx, i0, i1);
    samples(low_y, high_y, r.y0, r.step, r.ny, j0, j1);
    const L lanes = L::count() * L(T(r.step)), zero(T(0));
    L s[8];
    for (int n = 0; n < 8; ++n) s[n] = zero;
    for (int j = j0; j < j1; ++j) {
        if (!column.row(r.y0 + r.step * j)) continue;
        const L dy(column.dy);
        for (int x = i0 + team.rank * L::width; x < i1; x += team.size * L::width) {
            const L dx = column.offset(r.x0 + r.step * x, lanes);
            const auto mask = column.inside(dx);
            if (!any(mask)) continue;
            const L rest = select(mask, L::load(residual + j * r.stride + x), zero);
            const auto at = column.at(dx);
            const L slope = at.q * rest, slope_x = slope * dx, slope_y = slope * dy;
            s[0] = s[0] + at.value * rest;
            s[1] = s[1] + slope_x;
            s[2] = s[2] + slope_y;
            s[3] = s[3] + slope_x * dx;
            s[4] = s[4] + slope_x * dy;
            s[5] = s[5] + slope_y * dy;
            if (TAIL) {
                const L wide = at.wide * rest;
                s[6] = s[6] + wide - at.core * rest;
                s[7] = s[7] + wide * at.r2;
            }
        }
    }
    double t[8];
    for (int n = 0; n < 8; ++n) t[n] = team.sum(double(s[n].sum()));
    const double a = columns.amplitude[i], unit = (p.m00 + p.m11) / 2;
    const double unit2 = 1 / (1 - p.m1 * p.m1 - p.m2 * p.m2);
    const double r2 = p.m00 * t[3] + 2 * p.m01 * t[4] + p.m11 * t[5];
    sums[0] = t[0];
    sums[1] = a * (p.m00 * t[1] + p.m01 * t[2]);
    sums[2] = a * (p.m01 * t[1] + p.m11 * t[2]);
    sums[3] = a * r2;
    sums[4] = -0.5 * a * (unit * (t[3] - t[5]) + unit2 * p.m1 * r2);
    sums[5] = -0.5 * a * (2 * unit * t[4] + unit2 * p.m2 * r2);
    sums[6] = a * t[6];
    sums[7] = a * 2 * columns.half[i] * p.tail * p.wide * t[7];
}

// Sums of an image times the derivatives of one element (column or knot): `sums` (terms).
template <class L, class Element, class Team>
STEMDISP_INLINE void project(const Raster& r, Element element, double radius, const typename L::Scalar* image,
                             double* sums, const Team& team) {
    using T = typename L::Scalar;
    double low_x, high_x, low_y, high_y;
    element.box(low_x, high_x, low_y, high_y, radius);
    int i0, i1, j0, j1;
    samples(low_x, high_x, r.x0, r.step, r.nx, i0, i1);
    samples(low_y, high_y, r.y0, r.step, r.ny, j0, j1);
    const L lanes = L::count() * L(T(r.step));
    L s[Element::terms], t[Element::terms];
    for (int n = 0; n < Element::terms; ++n) s[n] = L(T(0));
    for (int j = j0; j < j1; ++j) {
        if (!element.row(r.y0 + r.step * j)) continue;
        for (int x = i0 + team.rank * L::width; x < i1; x += team.size * L::width) {
            const L seen = L::load(image + j * r.stride + x);
            element.derivatives(r.x0 + r.step * x, lanes, t);
            for (int n = 0; n < Element::terms; ++n) s[n] = s[n] + seen * t[n];
        }
    }
    for (int n = 0; n < Element::terms; ++n) sums[n] = team.sum(double(s[n].sum()));
}

// Weighted products of the derivatives of two elements: `block` (3, 3), zero where an element has fewer terms.
template <class L, class One, class Other, class Team>
STEMDISP_INLINE void pair(const Raster& r, One one, double radius_one, Other other, double radius_other,
                          const typename L::Scalar* weight, double* block, const Team& team) {
    using T = typename L::Scalar;
    double a[4], b[4];
    one.box(a[0], a[1], a[2], a[3], radius_one);
    other.box(b[0], b[1], b[2], b[3], radius_other);
    int i0, i1, j0, j1;
    samples(a[0] > b[0] ? a[0] : b[0], a[1] < b[1] ? a[1] : b[1], r.x0, r.step, r.nx, i0, i1);
    samples(a[2] > b[2] ? a[2] : b[2], a[3] < b[3] ? a[3] : b[3], r.y0, r.step, r.ny, j0, j1);
    const L lanes = L::count() * L(T(r.step));
    L s[One::terms * Other::terms], t[One::terms], u[Other::terms];
    for (int n = 0; n < One::terms * Other::terms; ++n) s[n] = L(T(0));
    for (int j = j0; j < j1; ++j) {
        const double y = r.y0 + r.step * j;
        if (!one.row(y) || !other.row(y)) continue;
        for (int x = i0 + team.rank * L::width; x < i1; x += team.size * L::width) {
            const L w = L::load(weight + j * r.stride + x);
            const double at = r.x0 + r.step * x;
            one.derivatives(at, lanes, t);
            other.derivatives(at, lanes, u);
            for (int n = 0; n < One::terms; ++n) {
                const L wt = w * t[n];
                for (int m = 0; m < Other::terms; ++m) s[n * Other::terms + m] = s[n * Other::terms + m] + wt * u[m];
            }
        }
    }
    for (int n = 0; n < 9; ++n) block[n] = 0;
    for (int n = 0; n < One::terms; ++n)
        for (int m = 0; m < Other::terms; ++m)
            block[3 * n + m] = team.sum(double(s[n * Other::terms + m].sum()));
}

}  // namespace STEMDISP_LEVEL
}  // namespace stemdisp
