// Sums of a joint fit over the pixels of an image: the model and its weighted residual, gradients of columns, curvature of
// pairs.  Every function does one task (a bin of pixels, a column, a pair) and writes only what is that task's own, so
// that the order of tasks, and how many run at once, changes nothing.
//
// A column is A P(d), P = (1 - w) exp(-r2 / 2 s2) + w exp(-r2 / 2 k2 s2), r2 = d' M d, det M = 1, inside a disc around its
// centre; what is left at the rim is taken off, so that no column ends in a step.  A knot of the background is a product of
// two hat functions.
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

STEMDISP_INLINE double root(double x) {
#ifdef __CUDACC__
    return sqrt(x);
#elif defined(__GNUC__)
    return __builtin_sqrt(x);
#else
    return std::sqrt(x);
#endif
}

// A column along one row of pixels: what does not change along the row.
template <class L, bool TAIL>
struct ColumnRow {
    using T = typename L::Scalar;
    static constexpr int terms = 3;
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
        half = root(left);
        return true;
    }
    STEMDISP_INLINE void span(const Raster& r, int& i0, int& i1) const {
        samples(sx - half, sx + half, r.x0, r.step, r.nx, i0, i1);
    }
    STEMDISP_INLINE L offset(double at, L lanes) const { return lanes + L(T(at - x)); }
    STEMDISP_INLINE typename L::Mask inside(L dx) const {
        const L ds = dx + L(to_start);
        return ds * ds <= L(room);
    }
    STEMDISP_INLINE L r2(L dx) const { return (L(m00) * dx + L(c1)) * dx + L(c0); }
    STEMDISP_INLINE L core(L r2) const { return power_of_two(L(core_rate) * r2); }
    STEMDISP_INLINE L wide(L r2) const { return power_of_two(L(wide_rate) * r2); }
    STEMDISP_INLINE L value(L dx) const {
        const L s = r2(dx);
        return (TAIL ? L(core_part) * core(s) + L(wide_part) * wide(s) : core(s)) - L(rim);
    }
    // Derivatives by amplitude, x and y; zero outside the disc.
    STEMDISP_INLINE void derivatives(double at_x, L lanes, L* t) const {
        const L dx = offset(at_x, lanes), s = r2(dx), e = core(s);
        L profile = e, slope = L(core_slope) * e;
        if (TAIL) {
            const L f = wide(s);
            profile = L(core_part) * e + L(wide_part) * f;
            slope = slope + L(wide_slope) * f;
        }
        const L own = select(inside(dx), L(T(1)), L(T(0)));
        slope = slope * (own * L(amplitude));
        t[0] = own * (profile - L(rim));
        t[1] = slope * (L(m00) * dx + L(m01 * dy));
        t[2] = slope * (L(m01) * dx + L(m11 * dy));
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
    STEMDISP_INLINE void rows(const Raster& r, int& j0, int& j1) const {
        samples(y - spacing, y + spacing, r.y0, r.step, r.ny, j0, j1);
    }
    STEMDISP_INLINE void span(const Raster& r, int& i0, int& i1) const {
        samples(x - spacing, x + spacing, r.x0, r.step, r.nx, i0, i1);
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

// ROWS rows of VECTORS vectors of one bin, from row `row` and pixel `column` of the bin on: residual times weight, and
// weight, of its pixels; both 0 where the image is no number.  Adds the weighted squares and the number of pixels used to
// `total` (2).
template <class L, bool TAIL, int ROWS, int VECTORS>
STEMDISP_INLINE void render(const Raster& r, const ColumnTable& columns, const KnotTable& knots, const Profile& p,
                            const Variance& variance, const Bins& bins, int bin, int row, int first,
                            const typename L::Scalar* image, typename L::Scalar* residual, typename L::Scalar* weight,
                            double* total) {
    using T = typename L::Scalar;
    const int i0 = (bin % bins.nx) * BIN + first, j0 = (bin / bins.nx) * BIN + row;
    const int rows = j0 + ROWS <= r.ny ? ROWS : r.ny - j0;
    const L lanes = L::count() * L(T(r.step)), zero(T(0)), one(T(1));
    const double x0 = r.x0 + r.step * i0, y0 = r.y0 + r.step * j0, wide = r.step * L::width;
    L model[ROWS][VECTORS];
    for (int j = 0; j < ROWS; ++j)
        for (int v = 0; v < VECTORS; ++v)
            model[j][v] = j < rows ? background(knots, x0 + wide * v, x0 + wide * v + r.step * (L::width - 1),
                                                y0 + r.step * j, lanes)
                                   : zero;
    for (int m = bins.first[bin]; m < bins.first[bin + 1]; ++m) {
        ColumnRow<L, TAIL> column(columns, p, bins.column[m]);
        for (int j = 0; j < rows; ++j) {
            if (!column.row(y0 + r.step * j)) continue;
            for (int v = 0; v < VECTORS; ++v) {
                const double x = x0 + wide * v;
                if (x > column.sx + column.half || x + wide <= column.sx - column.half) continue;
                const L dx = column.offset(x, lanes);
                model[j][v] =
                    model[j][v] + select(column.inside(dx), L(column.amplitude) * column.value(dx), zero);
            }
        }
    }
    L squares(T(0)), count(T(0));
    for (int j = 0; j < rows; ++j)
        for (int v = 0; v < VECTORS; ++v) {
            const long long place = (long long)(j0 + j) * r.stride + i0 + v * L::width;
            const L seen = L::load(image + place);
            const auto used = is_number(seen);
            const L expected =
                larger(L(T(variance.offset)) + L(T(variance.gain)) * model[j][v], L(T(variance.floor)));
            const L w = select(used, one / expected, zero);
            const L rest = select(used, seen - model[j][v], zero);
            (w * rest).store(residual + place);
            w.store(weight + place);
            squares = squares + w * rest * rest;
            count = count + select(used, one, zero);
        }
    total[0] += double(squares.sum());
    total[1] += double(count.sum());
}

// Slopes of the model by shared shape parameters, times the weight, for the same part of a bin.  `group` >= 0: by the log
// width of that group, into slopes[0]; else by m1, m2, w and log k into slopes[0] to slopes[3].
template <class L, bool TAIL, int ROWS, int VECTORS>
STEMDISP_INLINE void slopes(const Raster& r, const ColumnTable& columns, const Profile& p, const Bins& bins, int bin,
                            int row, int first, int group, const typename L::Scalar* weight,
                            typename L::Scalar* const* slopes) {
    using T = typename L::Scalar;
    const int i0 = (bin % bins.nx) * BIN + first, j0 = (bin / bins.nx) * BIN + row;
    const int rows = j0 + ROWS <= r.ny ? ROWS : r.ny - j0;
    const L lanes = L::count() * L(T(r.step)), zero(T(0));
    const double x0 = r.x0 + r.step * i0, y0 = r.y0 + r.step * j0, wide = r.step * L::width;
    const T unit = T((p.m00 + p.m11) / 2), unit2 = T(1 / (1 - p.m1 * p.m1 - p.m2 * p.m2));
    const L pull1(unit2 * T(p.m1)), pull2(unit2 * T(p.m2));
    L sum[4][ROWS][VECTORS];
    for (int s = 0; s < 4; ++s)
        for (int j = 0; j < ROWS; ++j)
            for (int v = 0; v < VECTORS; ++v) sum[s][j][v] = zero;
    for (int m = bins.first[bin]; m < bins.first[bin + 1]; ++m) {
        const int i = bins.column[m];
        if (group >= 0 && columns.group[i] != group) continue;
        ColumnRow<L, TAIL> column(columns, p, i);
        const L rim0(T(columns.rim_slopes[3 * i])), rim1(T(columns.rim_slopes[3 * i + 1])),
            rim2(T(columns.rim_slopes[3 * i + 2]));
        for (int j = 0; j < rows; ++j) {
            if (!column.row(y0 + r.step * j)) continue;
            for (int v = 0; v < VECTORS; ++v) {
                const double x = x0 + wide * v;
                if (x > column.sx + column.half || x + wide <= column.sx - column.half) continue;
                const L dx = column.offset(x, lanes), r2 = column.r2(dx), core = column.core(r2);
                const L strong = select(column.inside(dx), L(column.amplitude), zero);
                L slope = L(column.core_slope) * core, tail = zero;
                if (TAIL || group < 0) tail = column.wide(r2);
                if (TAIL) slope = slope + L(column.wide_slope) * tail;
                slope = slope * strong;
                if (group >= 0) {
                    sum[0][j][v] = sum[0][j][v] + (slope * r2 - strong * rim0);
                    continue;
                }
                const L half_q = slope * L(T(-0.5)), dy(column.dy);
                sum[0][j][v] = sum[0][j][v] + half_q * (L(unit) * (dx * dx - dy * dy) + pull1 * r2);
                sum[1][j][v] = sum[1][j][v] + half_q * (L(T(2) * unit) * dx * dy + pull2 * r2);
                sum[2][j][v] = sum[2][j][v] + strong * (tail - core - rim1);
                sum[3][j][v] = sum[3][j][v] + strong * (L(column.wide_slope) * tail * r2 - rim2);
            }
        }
    }
    for (int j = 0; j < rows; ++j)
        for (int v = 0; v < VECTORS; ++v) {
            const long long place = (long long)(j0 + j) * r.stride + i0 + v * L::width;
            const L w = L::load(weight + place);
            for (int s = 0; s < (group >= 0 ? 1 : 4); ++s) (w * sum[s][j][v]).store(slopes[s] + place);
        }
}

// Sums of the weighted residual times the derivatives of column i by A, x, y, log s, m1, m2, w and log k, with the height at
// the rim held, and times its amplitude alone: `sums` (9).
template <class L, bool TAIL, class Team>
STEMDISP_INLINE void gather(const Raster& r, const ColumnTable& columns, const Profile& p, int i,
                            const typename L::Scalar* residual, double* sums, const Team& team) {
    using T = typename L::Scalar;
    ColumnRow<L, TAIL> column(columns, p, i);
    int j0, j1, i0, i1;
    column.rows(r, j0, j1);
    const L lanes = L::count() * L(T(r.step)), zero(T(0));
    L flat = zero, value = zero, x = zero, y = zero, xx = zero, xy = zero, yy = zero, tail = zero, tail_r2 = zero;
    for (int j = j0; j < j1; ++j) {
        if (!column.row(r.y0 + r.step * j)) continue;
        column.span(r, i0, i1);
        const typename L::Scalar* line = residual + (long long)j * r.stride;
        L along = zero, along_x = zero;
        for (int k = i0 + team.rank * L::width; k < i1; k += team.size * L::width) {
            const L dx = column.offset(r.x0 + r.step * k, lanes);
            const L rest = select(column.inside(dx), L::load(line + k), zero);
            const L r2 = column.r2(dx), core = column.core(r2) * rest;
            flat = flat + rest;
            L slope = L(column.core_slope) * core;
            if (TAIL) {
                const L wide = column.wide(r2) * rest;
                value = value + L(column.core_part) * core + L(column.wide_part) * wide;
                slope = slope + L(column.wide_slope) * wide;
                tail = tail + (wide - core);
                tail_r2 = tail_r2 + wide * r2;
            } else {
                value = value + core;
            }
            const L slope_x = slope * dx;
            along = along + slope;
            along_x = along_x + slope_x;
            xx = xx + slope_x * dx;
        }
        const L dy(column.dy);
        x = x + along_x;
        y = y + along * dy;
        xy = xy + along_x * dy;
        yy = yy + along * dy * dy;
    }
    const double t[8] = {
        team.sum(double(value.sum())), team.sum(double(x.sum())),  team.sum(double(y.sum())),
        team.sum(double(xx.sum())),    team.sum(double(xy.sum())), team.sum(double(yy.sum())),
        team.sum(double(tail.sum())),  team.sum(double(tail_r2.sum()))};
    const double a = columns.amplitude[i], unit = (p.m00 + p.m11) / 2;
    const double unit2 = 1 / (1 - p.m1 * p.m1 - p.m2 * p.m2);
    const double r2 = p.m00 * t[3] + 2 * p.m01 * t[4] + p.m11 * t[5];
    const double level = team.sum(double(flat.sum()));
    sums[0] = t[0] - columns.rim[i] * level;
    sums[8] = a * level;
    sums[1] = a * (p.m00 * t[1] + p.m01 * t[2]);
    sums[2] = a * (p.m01 * t[1] + p.m11 * t[2]);
    sums[3] = a * r2;
    sums[4] = -0.5 * a * (unit * (t[3] - t[5]) + unit2 * p.m1 * r2);
    sums[5] = -0.5 * a * (2 * unit * t[4] + unit2 * p.m2 * r2);
    sums[6] = a * t[6];
    sums[7] = a * 2 * columns.half[i] * p.tail * p.wide * t[7];
}

// Sums of IMAGES images times the derivatives of one element (column or knot): `sums` (IMAGES, 3), of which an element
// fills as many as it has terms.
template <class L, int IMAGES, class Element, class Team>
STEMDISP_INLINE void project(const Raster& r, Element element, const typename L::Scalar* const* images, double* sums,
                             const Team& team) {
    using T = typename L::Scalar;
    int j0, j1, i0, i1;
    element.rows(r, j0, j1);
    const L lanes = L::count() * L(T(r.step));
    L s[IMAGES][Element::terms], t[Element::terms];
    for (int m = 0; m < IMAGES; ++m)
        for (int n = 0; n < Element::terms; ++n) s[m][n] = L(T(0));
    for (int j = j0; j < j1; ++j) {
        if (!element.row(r.y0 + r.step * j)) continue;
        element.span(r, i0, i1);
        const long long line = (long long)j * r.stride;
        for (int x = i0 + team.rank * L::width; x < i1; x += team.size * L::width) {
            element.derivatives(r.x0 + r.step * x, lanes, t);
            for (int m = 0; m < IMAGES; ++m) {
                const L seen = L::load(images[m] + line + x);
                for (int n = 0; n < Element::terms; ++n) s[m][n] = s[m][n] + seen * t[n];
            }
        }
    }
    for (int m = 0; m < IMAGES; ++m)
        for (int n = 0; n < Element::terms; ++n) sums[3 * m + n] = team.sum(double(s[m][n].sum()));
}

// Weighted products of the derivatives of two elements: `block` (3, 3), zero where an element has fewer terms.
template <class L, class One, class Other, class Team>
STEMDISP_INLINE void pair(const Raster& r, One one, Other other, const typename L::Scalar* weight, double* block,
                          const Team& team) {
    using T = typename L::Scalar;
    int j0, j1, k0, k1, i0, i1, h0, h1;
    one.rows(r, j0, j1);
    other.rows(r, k0, k1);
    j0 = j0 > k0 ? j0 : k0;
    j1 = j1 < k1 ? j1 : k1;
    const L lanes = L::count() * L(T(r.step));
    L s[One::terms * Other::terms], t[One::terms], u[Other::terms];
    for (int n = 0; n < One::terms * Other::terms; ++n) s[n] = L(T(0));
    for (int j = j0; j < j1; ++j) {
        const double y = r.y0 + r.step * j;
        if (!one.row(y) || !other.row(y)) continue;
        one.span(r, i0, i1);
        other.span(r, h0, h1);
        i0 = i0 > h0 ? i0 : h0;
        i1 = i1 < h1 ? i1 : h1;
        const typename L::Scalar* line = weight + (long long)j * r.stride;
        for (int x = i0 + team.rank * L::width; x < i1; x += team.size * L::width) {
            const L w = L::load(line + x);
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
        for (int m = 0; m < Other::terms; ++m) block[3 * n + m] = team.sum(double(s[n * Other::terms + m].sum()));
}

}  // namespace STEMDISP_LEVEL
}  // namespace stemdisp
