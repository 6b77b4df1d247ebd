// The fit of one column in a small window, W columns side by side: Levenberg-Marquardt in moment form.
//
// The model is B + gx dx + gy dy + A P(d), d the distance from the column's centre, with
//     P = (1 - w) e + w e^k,    e = exp(-(a dx^2 + 2 b dx dy + c dy^2)),    Q = (1 - w) e + w k e^k.
// Its derivatives are P (by A), Q times monomials of first and second degree (by the centre and by a, b, c) and 1, dx, dy
// (by the plane).  The normal equations are therefore moments: sums over the window of P or Q, or of products of two of
// them, times monomials.  They are summed about the window's middle, where monomials are constants, and shifted to the
// column; exponentials follow from their neighbours by multiplication (a two-term recurrence).
//
// Least squares: height and plane are linear and are solved exactly in each evaluation (variable projection), so the
// centre and shape alone are searched.  Poisson: Fisher scoring, pixels weighted with 1 / model.
//
// No lane knows of its neighbours: its numbers are the same in whatever company it is fitted.
#pragma once

#include "lanes.h"
#include "roots.h"
#include "window_tables.h"

#if defined(__CUDACC__)
#define STEMDISP_UNROLL _Pragma("unroll")
#elif defined(__clang__)
#define STEMDISP_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define STEMDISP_UNROLL _Pragma("GCC unroll 16")
#else
#define STEMDISP_UNROLL
#endif

// A part of the fit: of a function of its own on a CPU, which compiles sooner and runs as fast; in registers on a GPU.
#if defined(__CUDACC__)
#define STEMDISP_PART STEMDISP_INLINE
#elif defined(_MSC_VER)
#define STEMDISP_PART __declspec(noinline)
#else
#define STEMDISP_PART __attribute__((noinline))
#endif

namespace stemdisp {
namespace STEMDISP_LEVEL {

template <class T>
struct Limits {
    static constexpr bool single = sizeof(T) == 4;
    static constexpr T slack = T(single ? 2e-6 : 1e-13);    // by which rounding may raise a sum of squares
    static constexpr T pivot = T(single ? 1e-6 : 1e-12);    // of the diagonal: less is singular
    static constexpr T tiny = T(1e-6);                      // smallest height, in units of the window's contrast
    static constexpr T width = T(9);                        // a, b, c may grow or shrink by this factor
    static constexpr T round = T(0.22145328719723184);      // least det / (trace / 2)^2: an ellipse of 4 : 1
    static constexpr T first_damping = T(1e-3), least_damping = T(1e-7), raised_damping = T(1e-2);
    static constexpr T back = T(0.25), turn = T(0.5);       // a step that failed; largest relative change of the shape
    static constexpr T stiffest = T(1e15);                  // hold of the slopes: they are 0 to the last digit
    static constexpr T floor = T(1e-3);                     // least Poisson mean, in units of the window's mean
};

// Where a moment of degrees i and j stands among those up to degree D.
template <int D>
struct Moments {
    static constexpr int count = (D + 1) * (D + 2) / 2;
    static constexpr STEMDISP_INLINE int at(int i, int j) { return j * (D + 1) - j * (j - 1) / 2 + i; }
};

// From moments about the middle of the window to moments about (x, y).
template <int D, class L>
STEMDISP_INLINE void shift(L* m, L x, L y) {
    STEMDISP_UNROLL
    for (int j = 0; j <= D; ++j)
        STEMDISP_UNROLL
        for (int k = 1; k <= D - j; ++k)
            STEMDISP_UNROLL
            for (int i = D - j; i >= k; --i)
                m[Moments<D>::at(i, j)] = m[Moments<D>::at(i, j)] - x * m[Moments<D>::at(i - 1, j)];
    STEMDISP_UNROLL
    for (int i = 0; i <= D; ++i)
        STEMDISP_UNROLL
        for (int k = 1; k <= D - i; ++k)
            STEMDISP_UNROLL
            for (int j = D - i; j >= k; --j)
                m[Moments<D>::at(i, j)] = m[Moments<D>::at(i, j)] - y * m[Moments<D>::at(i, j - 1)];
}

template <int N, class L>
STEMDISP_INLINE void clear(L* m) {
    STEMDISP_UNROLL
    for (int n = 0; n < N; ++n) m[n] = L(typename L::Scalar(0));
}

// A row's sums times u^i, from the sum and the difference of the pixels at u and -u.
template <int D, class L, class Source>
STEMDISP_INLINE void add(L* sums, L plus, L minus, const Source& from, int u) {
    sums[0] = sums[0] + plus;
    STEMDISP_UNROLL
    for (int i = 1; i <= D; ++i) sums[i] = sums[i] + (i % 2 ? minus : plus) * from.power(u, i);
}

// Adds a row's sums, times v^j, to the window's.
template <int D, class L, class Source>
STEMDISP_INLINE void add_row(L* moments, const L* sums, const Source& from, int v, bool below) {
    STEMDISP_UNROLL
    for (int j = 0; j <= D; ++j) {
        L height(typename L::Scalar(1));
        if (j > 0) height = below && j % 2 ? L(typename L::Scalar(0)) - from.power(v, j) : from.power(v, j);
        STEMDISP_UNROLL
        for (int i = 0; i <= D - j; ++i)
            moments[Moments<D>::at(i, j)] = moments[Moments<D>::at(i, j)] + sums[i] * height;
    }
}

// exp(-(a dx^2 + 2 b dx dy + c dy^2)) on the pixels of a window, row after row from the middle, each from the last.
template <class L>
struct Bell {
    using T = typename L::Scalar;
    L middle, down, up, right, left;   // value at the middle; ratios of neighbours there, in four directions
    L along, across, turn, back;       // ratios of ratios: exp of -2a, -2c, -2b and 2b
    L start, ratio, to_right, to_left;  // of the row at hand
    L by_right, by_left, at_right, at_left;

    static STEMDISP_INLINE L exponential(L x) { return exp_negative(smaller(x, L(T(40)))); }

    STEMDISP_INLINE void set(L a, L b, L c, L x, L y) {
        const L zero(T(0)), one(T(1)), two(T(2));
        const L two_b = two * b, ax = a * x, cy = c * y;
        middle = exponential(zero - (ax * x + two_b * x * y + cy * y));
        right = exponential(zero - (a - two * ax - two_b * y));
        left = exponential(zero - (a + two * ax + two_b * y));
        down = exponential(zero - (c - two * cy - two_b * x));
        up = exponential(zero - (c + two * cy + two_b * x));
        along = exponential(zero - two * a);
        across = exponential(zero - two * c);
        turn = exponential(zero - two_b);
        back = exponential(two_b);
    }
    STEMDISP_INLINE void begin(bool upwards) {
        start = middle;
        ratio = upwards ? up : down;
        to_right = right;
        to_left = left;
    }
    STEMDISP_INLINE void next_row(bool upwards) {
        start = start * ratio;
        ratio = ratio * across;
        to_right = to_right * (upwards ? back : turn);
        to_left = to_left * (upwards ? turn : back);
    }
    STEMDISP_INLINE void begin_row() {
        at_right = at_left = start;
        by_right = to_right;
        by_left = to_left;
    }
    STEMDISP_INLINE void next() {
        at_right = at_right * by_right;
        by_right = by_right * along;
        at_left = at_left * by_left;
        by_left = by_left * along;
    }
};

template <class L>
struct Place {  // the nonlinear parameters, and for Poisson the linear ones
    L x, y, a, b, c, height, level, slope_x, slope_y;
};

// The sums over W windows; DQ is the highest degree of the monomials next to Q.
template <class L, int DQ, bool PLANE, bool TAIL, bool POISSON, bool WEIGHTED>
struct WindowSums {
    using T = typename L::Scalar;
    using Limit = Limits<T>;
    static constexpr int BACK = PLANE ? 2 : 0;  // degree of the background's own moments

    struct Sums {
        L qq[Moments<2 * DQ>::count], q1[Moments<DQ + (PLANE ? 1 : 0)>::count], qd[Moments<DQ>::count];
        L pq[Moments<DQ>::count], pp, p1[Moments<PLANE ? 1 : 0>::count], pd;
        L b1[Moments<BACK>::count], bd[Moments<PLANE ? 1 : 0>::count], squares, deviance;
    };

    L count, total, mean, scale;     // pixels, sum of weighted squares, and what was taken off and divided by
    L b1[Moments<BACK>::count], bd[Moments<PLANE ? 1 : 0>::count];  // background's moments, least squares

    // Takes off the mean, divides by the contrast and sums what no parameter changes.
    template <class Source>
    STEMDISP_PART void prepare(Source& from) {
        const int size = from.size, h = size / 2;
        const L zero(T(0)), one(T(1));
        L sum = zero, square = zero;
        count = zero;
        const L pivot = from.pivot();
        for (int k = 0; k < size * size; ++k) {
            L d = from.raw(k) - pivot;
            if (WEIGHTED) {
                const L w = from.weight(k);
                const L used = select(zero < w, one, zero);
                count = count + used;
                d = select(zero < w, d, zero);
            }
            sum = sum + d;
            square = square + d * d;
        }
        if (!WEIGHTED) count = L(T(size * size));
        const L n = larger(count, one), offset = sum / n;
        const L variance = square / n - offset * offset;
        mean = pivot + offset;
        // Less than rounding leaves is no contrast at all.
        const auto flat = variance <= L(T(Limit::single ? 1e-12 : 1e-28)) * (mean * mean + pivot * pivot);
        scale = select(flat, zero, root(select(flat, one, variance)));
        total = zero;
        clear<Moments<BACK>::count>(b1);
        clear<Moments<PLANE ? 1 : 0>::count>(bd);
        if (!POISSON) from.normalise(mean, select(zero < scale, one / select(zero < scale, scale, one), zero));
        for (int j = 0; j < size; ++j) {
            L row1[BACK + 1], rowd[PLANE ? 2 : 1];
            clear<BACK + 1>(row1);
            clear<PLANE ? 2 : 1>(rowd);
            for (int i = 0; i < size; ++i) {
                const int k = j * size + i;
                L d = from.data(k), w = one;
                if (WEIGHTED) w = from.weight(k);
                if (WEIGHTED) d = select(zero < w, d, zero);
                const L wd = WEIGHTED ? w * d : d;
                total = total + (POISSON ? larger(d, zero) : wd * d);
                if (POISSON) continue;
                rowd[0] = rowd[0] + wd;
                row1[0] = row1[0] + w;
                if (PLANE) {
                    const L u(T(i - h));
                    rowd[1] = rowd[1] + wd * u;
                    row1[1] = row1[1] + w * u;
                    row1[2] = row1[2] + w * u * u;
                }
            }
            if (POISSON) continue;
            const int v = j < h ? h - j : j - h;
            add_row<BACK>(b1, row1, from, v, j < h);
            add_row<PLANE ? 1 : 0>(bd, rowd, from, v, j < h);
        }
    }

    // Puts columns of height `own` back that were taken off the image as they stand at a place.
    template <class Source>
    STEMDISP_PART void put_back(Source& from, const Place<L>& at, L own, L tail, L wide) const {
        const int size = from.size, h = size / 2;
        const L one(T(1));
        Bell<L> core, broad;
        core.set(at.a, at.b, at.c, at.x, at.y);
        broad.set(at.a * wide, at.b * wide, at.c * wide, at.x, at.y);
        const auto add_to = [&](int k, L near, L far) { from.add(k, own * (TAIL ? (one - tail) * near + tail * far : near)); };
        for (int side = 0; side < 2; ++side) {
            core.begin(side);
            broad.begin(side);
            for (int v = 0; v <= h; ++v) {
                if (v > 0) core.next_row(side);
                if (v > 0) broad.next_row(side);
                if (v == 0 && side == 1) continue;
                const int middle = (side ? h - v : h + v) * size + h;
                core.begin_row();
                broad.begin_row();
                add_to(middle, core.start, broad.start);
                for (int u = 1; u <= h; ++u) {
                    core.next();
                    broad.next();
                    add_to(middle + u, core.at_right, broad.at_right);
                    add_to(middle - u, core.at_left, broad.at_left);
                }
            }
        }
    }

    // One pair of pixels, at u and -u (the same pixel once, for u = 0), into the sums of its row.
    struct Row {
        L qq[2 * DQ + 1], q1[DQ + (PLANE ? 2 : 1)], qd[DQ + 1], pq[DQ + 1], pp, p1[PLANE ? 2 : 1], pd;
        L b1[BACK + 1], bd[PLANE ? 2 : 1], squares, deviance;
        STEMDISP_INLINE void reset() {
            clear<2 * DQ + 1>(qq);
            clear<DQ + (PLANE ? 2 : 1)>(q1);
            clear<DQ + 1>(qd);
            clear<DQ + 1>(pq);
            clear<PLANE ? 2 : 1>(p1);
            clear<BACK + 1>(b1);
            clear<PLANE ? 2 : 1>(bd);
            pp = pd = squares = deviance = L(T(0));
        }
    };
    struct Pixel {
        L p, q, w, d;  // P, Q, weight; data, or for Poisson the residual
    };

    template <class Source>
    STEMDISP_INLINE Pixel pixel(const Source& from, int k, L core, L broad, L under, const Place<L>& at, L least, bool plain,
                                L tail, L wide, Row& row) const {
        const L zero(T(0)), one(T(1));
        Pixel one_pixel;
        one_pixel.p = one_pixel.q = core;
        if (TAIL) {
            const L inner = (one - tail) * core, outer = tail * broad;
            one_pixel.p = inner + outer;
            one_pixel.q = inner + wide * outer;
        }
        one_pixel.d = from.data(k);
        one_pixel.w = WEIGHTED ? from.weight(k) : one;
        if (POISSON) {
            const auto used = zero < one_pixel.w;
            const L d = WEIGHTED ? select(used, one_pixel.d, zero) : one_pixel.d;
            const L expected = larger(under + at.height * one_pixel.p, least);
            const L inverse_mean = one / expected;
            one_pixel.d = plain ? d : d - expected;
            const L w = plain ? one : inverse_mean;
            one_pixel.w = WEIGHTED ? select(used, w, zero) : w;
            const L term = expected - d + d * log_positive(select(zero < d, d * inverse_mean, inverse_mean));
            row.deviance = row.deviance + (WEIGHTED ? select(used, term, zero) : term);
            row.squares = row.squares + one_pixel.w * one_pixel.d * one_pixel.d;
        }
        return one_pixel;
    }

    template <class Source>
    STEMDISP_INLINE void pair(const Source& from, int u, const Pixel& r, const Pixel& l, Row& row) const {
        constexpr bool HEAVY = WEIGHTED || POISSON;
        const L rq = HEAVY ? r.w * r.q : r.q, lq = HEAVY ? l.w * l.q : l.q;
        const L rqq = rq * r.q, lqq = lq * l.q, rqd = rq * r.d, lqd = lq * l.d;
        add<2 * DQ>(row.qq, rqq + lqq, rqq - lqq, from, u);
        add<DQ + (PLANE ? 1 : 0)>(row.q1, rq + lq, rq - lq, from, u);
        add<DQ>(row.qd, rqd + lqd, rqd - lqd, from, u);
        if (TAIL) {
            const L rp = HEAVY ? r.w * r.p : r.p, lp = HEAVY ? l.w * l.p : l.p;
            const L rpq = rp * r.q, lpq = lp * l.q;
            add<DQ>(row.pq, rpq + lpq, rpq - lpq, from, u);
            add<PLANE ? 1 : 0>(row.p1, rp + lp, rp - lp, from, u);
            row.pp = row.pp + rp * r.p + lp * l.p;
            row.pd = row.pd + rp * r.d + lp * l.d;
        }
        if (POISSON) {
            const L rd = r.w * r.d, ld = l.w * l.d;
            add<BACK>(row.b1, r.w + l.w, r.w - l.w, from, u);
            add<PLANE ? 1 : 0>(row.bd, rd + ld, rd - ld, from, u);
        }
    }

    // All sums at one place.  `plain`: Poisson, before anything is known of the heights.
    template <class Source>
    STEMDISP_PART void evaluate(const Source& from, const Place<L>& at, L least, bool plain, L tail, L wide, Sums& s) const {
        const int size = from.size, h = size / 2;
        const L zero(T(0));
        clear<Moments<2 * DQ>::count>(s.qq);
        clear<Moments<DQ + (PLANE ? 1 : 0)>::count>(s.q1);
        clear<Moments<DQ>::count>(s.qd);
        clear<Moments<DQ>::count>(s.pq);
        clear<Moments<PLANE ? 1 : 0>::count>(s.p1);
        clear<Moments<BACK>::count>(s.b1);
        clear<Moments<PLANE ? 1 : 0>::count>(s.bd);
        s.pp = s.pd = s.squares = s.deviance = zero;
        Bell<L> core, broad;
        core.set(at.a, at.b, at.c, at.x, at.y);
        if (TAIL) broad.set(at.a * wide, at.b * wide, at.c * wide, at.x, at.y);
        Row row;
        Pixel none;
        none.p = none.q = none.w = none.d = zero;
        for (int side = 0; side < 2; ++side) {
            core.begin(side);
            if (TAIL) broad.begin(side);
            for (int v = 0; v <= h; ++v) {
                if (v > 0) core.next_row(side);
                if (TAIL && v > 0) broad.next_row(side);
                if (v == 0 && side == 1) continue;
                const int middle = ((side ? h - v : h + v)) * size + h;
                L under = at.level, step(zero);
                if (POISSON && PLANE) {
                    under = under + at.slope_y * (L(T(side ? -v : v)) - at.y) - at.slope_x * at.x;
                }
                row.reset();
                core.begin_row();
                if (TAIL) broad.begin_row();
                pair(from, 0, pixel(from, middle, core.start, broad.start, under, at, least, plain, tail, wide, row),
                     none, row);
                for (int u = 1; u <= h; ++u) {
                    core.next();
                    if (TAIL) broad.next();
                    if (POISSON && PLANE) step = at.slope_x * L(T(u));
                    const Pixel r = pixel(from, middle + u, core.at_right, broad.at_right, under + step, at, least, plain,
                                          tail, wide, row);
                    const Pixel l = pixel(from, middle - u, core.at_left, broad.at_left, under - step, at, least, plain,
                                          tail, wide, row);
                    pair(from, u, r, l, row);
                }
                add_row<2 * DQ>(s.qq, row.qq, from, v, side);
                add_row<DQ + (PLANE ? 1 : 0)>(s.q1, row.q1, from, v, side);
                add_row<DQ>(s.qd, row.qd, from, v, side);
                if (TAIL) {
                    add_row<DQ>(s.pq, row.pq, from, v, side);
                    add_row<PLANE ? 1 : 0>(s.p1, row.p1, from, v, side);
                    s.pp = s.pp + row.pp;
                    s.pd = s.pd + row.pd;
                }
                if (POISSON) {
                    add_row<BACK>(s.b1, row.b1, from, v, side);
                    add_row<PLANE ? 1 : 0>(s.bd, row.bd, from, v, side);
                    s.squares = s.squares + row.squares;
                    s.deviance = s.deviance + row.deviance;
                }
            }
        }
        if (!POISSON) {
            STEMDISP_UNROLL
            for (int n = 0; n < Moments<BACK>::count; ++n) s.b1[n] = b1[n];
            STEMDISP_UNROLL
            for (int n = 0; n < Moments<PLANE ? 1 : 0>::count; ++n) s.bd[n] = bd[n];
        }
        shift<2 * DQ>(s.qq, at.x, at.y);
        shift<DQ + (PLANE ? 1 : 0)>(s.q1, at.x, at.y);
        shift<DQ>(s.qd, at.x, at.y);
        if (TAIL) shift<DQ>(s.pq, at.x, at.y);
        if (TAIL && PLANE) shift<1>(s.p1, at.x, at.y);
        if (PLANE) shift<BACK>(s.b1, at.x, at.y);
        if (PLANE) shift<1>(s.bd, at.x, at.y);
    }

};

// The search for one kind of column: what is done with the sums, whatever the pixels were.
template <class L, int SHAPE, bool PLANE, bool POISSON>
struct Solver {
    using T = typename L::Scalar;
    using Mask = typename L::Mask;
    using Limit = Limits<T>;
    using Place = stemdisp::STEMDISP_LEVEL::Place<L>;
    static constexpr int LINEAR = PLANE ? 4 : 2;  // level, slopes, height
    static constexpr int SHAPES = SHAPE == SHARED ? 0 : (SHAPE == CIRCULAR ? 1 : 3);
    static constexpr int N = LINEAR + 2 + SHAPES;  // parameters, in this order
    static constexpr int P = LINEAR - 1, X = LINEAR, Y = LINEAR + 1, S = LINEAR + 2;

    L count, total, mean, scale;                // as WindowSums has them
    L m[N * (N + 1) / 2], g[N], pivots[N];      // normal equations; then their factors L and D

    static constexpr STEMDISP_INLINE int entry(int row, int column) { return row * (row + 1) / 2 + column; }

    // L D L' of the rows [from, to), in place; the diagonal of what is not linear is raised by the damping.  False where
    // a pivot is lost in rounding.
    STEMDISP_PART Mask factor(int from, int to, L damping) {
        const L zero(T(0)), one(T(1)), share(Limit::pivot), least(T(1e-30));
        Mask good = zero < one;
        STEMDISP_UNROLL
        for (int n = 0; n < N; ++n) {
            if (n < from || n >= to) continue;
            STEMDISP_UNROLL
            for (int k = 0; k < n; ++k) {
                L sum = m[entry(n, k)];
                STEMDISP_UNROLL
                for (int l = 0; l < k; ++l) sum = sum - m[entry(n, l)] * m[entry(k, l)];
                m[entry(n, k)] = sum;  // D times L, until the row is done
            }
            L diagonal = m[entry(n, n)];
            const L lowest = larger(share * diagonal, least);
            if (n >= LINEAR) diagonal = diagonal + damping * diagonal;
            STEMDISP_UNROLL
            for (int k = 0; k < n; ++k) {
                const L dl = m[entry(n, k)], l = dl * pivots[k];
                diagonal = diagonal - dl * l;
                m[entry(n, k)] = l;
            }
            good = both(good, lowest < diagonal);
            pivots[n] = one / larger(diagonal, lowest);  // 1 / D
            m[entry(n, n)] = diagonal;
        }
        return good;
    }

    // What the right-hand side becomes through the rows [from, to) of L.
    STEMDISP_INLINE void forward(int from, int to) {
        STEMDISP_UNROLL
        for (int n = 0; n < N; ++n) {
            if (n < from || n >= to) continue;
            STEMDISP_UNROLL
            for (int k = 0; k < n; ++k) g[n] = g[n] - m[entry(n, k)] * g[k];
        }
    }

    // The first `to` parameters, those behind them left out.
    STEMDISP_INLINE void backward(int to, L* values) const {
        STEMDISP_UNROLL
        for (int n = N - 1; n >= 0; --n) {
            if (n >= to) continue;
            values[n] = g[n] * pivots[n];
            STEMDISP_UNROLL
            for (int k = n + 1; k < N; ++k)
                if (k < to) values[n] = values[n] - m[entry(k, n)] * values[k];
        }
    }

    // What a fit is given, one number a lane, and the same for all lanes.  Places are relative to the window's middle.
    struct Task {
        L x, y, a, b, c, limit, own;
        bool owned;
        T tail, wide, ridge, tolerance;
        int most;
    };

    // The state of a search: the best place so far, the step from it that is tried, and what became of it.
    struct Search {
        Place best, step;
        L objective, squares, bends, hold, damping, evaluations;
        Mask active, closing, moved, bounded;
    };

    STEMDISP_INLINE static L magnitude(L x) { return larger(x, L(T(0)) - x); }
    STEMDISP_INLINE static L chosen(Mask m, L a, L b) { return select(m, a, b); }
    STEMDISP_INLINE static void choose(Mask m, const Place& from, Place& to) {
        to.x = select(m, from.x, to.x);
        to.y = select(m, from.y, to.y);
        to.a = select(m, from.a, to.a);
        to.b = select(m, from.b, to.b);
        to.c = select(m, from.c, to.c);
        to.height = select(m, from.height, to.height);
        to.level = select(m, from.level, to.level);
        to.slope_x = select(m, from.slope_x, to.slope_x);
        to.slope_y = select(m, from.slope_y, to.slope_y);
    }

    // The step that values of the monomial basis mean at a place.
    STEMDISP_PART Place step_of(const L* values, const Place& at, const Task& task) const {
        const L zero(T(0)), two(T(2));
        L least(Limit::tiny);
        if (POISSON) least = least * scale;
        const L height = select(magnitude(at.height) < least, select(at.height < zero, zero - least, least), at.height);
        const L per = L(T(1)) / height, half = per * L(T(0.5));
        const L px = values[X] * half, py = values[Y] * half, det = at.a * at.c - at.b * at.b;
        Place step;
        step.x = (at.c * px - at.b * py) / det;
        step.y = (at.a * py - at.b * px) / det;
        step.a = step.b = step.c = zero;
        if (SHAPE == CIRCULAR) {
            const L grown = zero - values[S < N ? S : 0] * per;
            step.a = grown * task.a;
            step.b = grown * task.b;
            step.c = grown * task.c;
        }
        if (SHAPE == ELLIPTICAL) {
            step.a = zero - values[S < N ? S : 0] * per;
            step.b = zero - values[S + 1 < N ? S + 1 : 0] * half;
            step.c = zero - values[S + 2 < N ? S + 2 : 0] * per;
        }
        step.height = values[P];
        step.level = values[0];
        step.slope_x = PLANE ? values[PLANE ? 1 : 0] : zero;
        step.slope_y = PLANE ? values[PLANE ? 2 : 0] : zero;
        return step;
    }

    // Whether a, b and c are a shape that a column may have.
    STEMDISP_INLINE static Mask allowed(L a, L b, L c, L trace0) {
        const L trace = a + c, half = trace * L(T(0.5));
        const Mask size = both(trace0 <= trace * L(Limit::width), trace <= trace0 * L(Limit::width));
        return both(size, L(Limit::round) * half * half <= a * c - b * b);
    }

    // The place after a step, kept within what is allowed; says whether it moved at all, and whether it was held back.
    STEMDISP_PART Place moved_by(const Place& best, const Place& step, const Task& task, Mask& moved, Mask& held) const {
        const L zero(T(0)), one(T(1)), tolerance(task.tolerance), tiny(T(1e-30));
        Place to = best;
        L length = root(larger(step.x * step.x + step.y * step.y, tiny));
        L part = smaller(one, task.limit * L(T(0.5)) / length);
        L away_x = best.x + step.x * part - task.x, away_y = best.y + step.y * part - task.y;
        L away = root(larger(away_x * away_x + away_y * away_y, tiny));
        held = task.limit < away;
        part = smaller(one, task.limit / away);
        to.x = task.x + away_x * part;
        to.y = task.y + away_y * part;
        const L far = larger(magnitude(to.x - best.x), magnitude(to.y - best.y));
        moved = tolerance < far;
        if (SHAPE != SHARED) {
            const L trace = best.a + best.c, trace0 = task.a + task.c;
            const L most = larger(magnitude(step.b), larger(magnitude(step.a), magnitude(step.c)));
            L grow = smaller(one, L(Limit::turn) * trace * L(T(0.5)) / larger(most, tiny));
            for (int tries = 0; tries < 3; ++tries) {
                const Mask good = allowed(best.a + grow * step.a, best.b + grow * step.b, best.c + grow * step.c, trace0);
                grow = select(good, grow, tries < 2 ? grow * L(T(0.5)) : zero);
            }
            held = either(held, grow <= zero);
            to.a = best.a + grow * step.a;
            to.b = best.b + grow * step.b;
            to.c = best.c + grow * step.c;
            const L change = grow * most;
            moved = either(moved, tolerance * tolerance * trace * trace * trace < change * change);
        }
        if (POISSON) {
            to.height = best.height + step.height;
            to.slope_x = best.slope_x + step.slope_x;
            to.slope_y = best.slope_y + step.slope_y;
            to.level = best.level + step.level + to.slope_x * (to.x - best.x) + to.slope_y * (to.y - best.y);
        }
        return to;
    }

    // Takes or refuses the place just evaluated and says where to look next.
    STEMDISP_PART void decide(Search& s, Place& at, const Task& task, L deviance, L residuals) {
        const L zero(T(0)), one(T(1)), ten(T(10));
        L linear[N];
        factor(0, LINEAR, zero);
        forward(0, LINEAR);
        backward(LINEAR, linear);
        L objective = deviance, squares = residuals, bends = zero;
        if (!POISSON) {
            at.height = linear[P];
            objective = total;
            STEMDISP_UNROLL
            for (int n = 0; n < LINEAR; ++n) objective = objective - g[n] * g[n] * pivots[n];
            if (PLANE) bends = linear[PLANE ? 1 : 0] * linear[PLANE ? 1 : 0] + linear[PLANE ? 2 : 0] * linear[PLANE ? 2 : 0];
            squares = objective - s.hold * bends;
        }
        const L before = POISSON ? s.objective : s.squares + s.hold * s.bends;
        const Mask good = objective <= before + L(Limit::slack) * total;
        const Mask took = both(s.active, good), failed = both(s.active, inverse(good));
        choose(took, at, s.best);
        s.objective = select(took, objective, s.objective);
        s.squares = select(took, squares, s.squares);
        s.bends = select(took, bends, s.bends);
        s.damping = select(took, larger(s.damping * L(T(0.1)), L(Limit::least_damping)),
                           larger(s.damping, L(Limit::raised_damping)) * ten);
        Mask settled = zero < one;
        if (PLANE && !POISSON) {
            // Slopes are in units of the window's scale.
            const L noise = larger(squares, L(Limit::slack) * total) / larger(count - L(T(N)), one);
            const L hold = smaller(L(task.ridge) * noise * scale * scale, L(Limit::stiffest));
            // A change of the ridge matters as far as it shows beside the slopes' own curvature.
            settled = magnitude(hold - s.hold) <= L(task.tolerance) * (hold + m[entry(PLANE ? 1 : 0, PLANE ? 1 : 0)]);
            s.hold = select(took, hold, s.hold);
        }
        factor(LINEAR, N, s.damping);
        forward(LINEAR, N);
        L values[N];
        backward(N, values);
        Place step = step_of(values, at, task), shorter = s.step;
        shorter.x = shorter.x * L(Limit::back);
        shorter.y = shorter.y * L(Limit::back);
        shorter.a = shorter.a * L(Limit::back);
        shorter.b = shorter.b * L(Limit::back);
        shorter.c = shorter.c * L(Limit::back);
        shorter.height = shorter.height * L(Limit::back);
        shorter.level = shorter.level * L(Limit::back);
        shorter.slope_x = shorter.slope_x * L(Limit::back);
        shorter.slope_y = shorter.slope_y * L(Limit::back);
        s.step = shorter;
        choose(took, step, s.step);
        Mask moved, held;
        const Place next = moved_by(s.best, s.step, task, moved, held);
        s.bounded = either(both(s.active, held), both(inverse(s.active), s.bounded));
        const Mask still = both(inverse(moved), settled);
        const Mask done = both(took, either(still, s.closing));
        s.closing = either(s.closing, both(failed, inverse(moved)));
        s.active = both(s.active, inverse(done));
        s.moved = both(s.moved, inverse(done));
        at = s.best;
        choose(both(s.active, inverse(s.closing)), next, at);
    }

    // Covariance of a, b and c, row by row, from elements of the inverse, of which those of the shape begin at 6.
    template <class Element>
    STEMDISP_INLINE void shape_covariance(const Element& element, L per_height, const Task& task, L* to) {
        const L power = per_height * per_height, half = L(T(0.5)), quarter = L(T(0.25));
        if (SHAPE == ELLIPTICAL) {
            constexpr int a = SHAPE == ELLIPTICAL ? 6 : 0, b = SHAPE == ELLIPTICAL ? 7 : 0, c = SHAPE == ELLIPTICAL ? 8 : 0;
            to[0] = element(a, a) * power;
            to[1] = element(a, b) * power * half;
            to[2] = element(a, c) * power;
            to[3] = element(b, b) * power * quarter;
            to[4] = element(b, c) * power * half;
            to[5] = element(c, c) * power;
        } else {
            const L one = element(SHAPES ? 6 : 0, SHAPES ? 6 : 0) * power;
            to[0] = task.a * task.a * one;
            to[1] = task.a * task.b * one;
            to[2] = task.a * task.c * one;
            to[3] = task.b * task.b * one;
            to[4] = task.b * task.c * one;
            to[5] = task.c * task.c * one;
        }
    }

    // What is known of the column at its place: the last step, covariance, status.
    template <class Out>
    STEMDISP_PART void report(const Search& s, const Place& at, const Task& task, L residuals, Mask enough, Out& out) {
        const L zero(T(0)), one(T(1)), nothing = zero / zero;
        const Mask whole = factor(0, N, zero);
        L linear[N], values[N];
        forward(0, N);
        backward(N, values);
        backward(LINEAR, linear);
        Place final = at;
        L squares = residuals;
        if (!POISSON) {
            squares = total;
            STEMDISP_UNROLL
            for (int n = 0; n < LINEAR; ++n) squares = squares - g[n] * g[n] * pivots[n];
            if (PLANE)
                squares = squares - s.hold * (linear[PLANE ? 1 : 0] * linear[PLANE ? 1 : 0] +
                                              linear[PLANE ? 2 : 0] * linear[PLANE ? 2 : 0]);
            final.height = linear[P];
            final.level = linear[0];
            final.slope_x = PLANE ? linear[PLANE ? 1 : 0] : zero;
            final.slope_y = PLANE ? linear[PLANE ? 2 : 0] : zero;
        }
        const L chi2 = larger(squares, zero) / larger(count - L(T(N)), one);
        const Mask converged = both(inverse(s.active), inverse(s.moved));
        Place step = step_of(values, final, task);
        Mask moved, held;
        Place next = moved_by(final, step, task, moved, held);
        if (!POISSON) {
            next.height = step.height;
            next.slope_x = step.slope_x;
            next.slope_y = step.slope_y;
            next.level = step.level + step.slope_x * (next.x - at.x) + step.slope_y * (next.y - at.y);
        }
        const Mask better = both(converged, inverse(moved));
        choose(better, next, final);
        // Covariance: rows of the inverse, from the inverse of L.
        const L unit = POISSON ? one : chi2, size = POISSON ? one : scale;
        constexpr int wanted[9] = {P, X, Y, 0, PLANE ? 1 : 0, PLANE ? 2 : 0, S, S + 1, S + 2};
        L inverse_rows[6 + SHAPES][N];
        STEMDISP_UNROLL
        for (int w = 0; w < 6 + SHAPES; ++w) {
            if (!PLANE && (w == 4 || w == 5)) continue;
            STEMDISP_UNROLL
            for (int n = 0; n < N; ++n) {
                L sum = n == wanted[w] ? one : zero;
                STEMDISP_UNROLL
                for (int k = 0; k < n; ++k)
                    if (k >= wanted[w]) sum = sum - m[entry(n, k)] * inverse_rows[w][k];
                inverse_rows[w][n] = n < wanted[w] ? zero : sum;
            }
        }
        const auto element = [&](int v, int w) {
            L sum = zero;
            STEMDISP_UNROLL
            for (int n = 0; n < N; ++n)
                if (n >= wanted[v] && n >= wanted[w]) sum = sum + inverse_rows[v][n] * inverse_rows[w][n] * pivots[n];
            return sum * unit;
        };
        const L det = at.a * at.c - at.b * at.b, half = L(T(0.5)) / (final.height * det);
        const L xa = at.c * half, xb = (zero - at.b) * half, ya = at.a * half;  // (2 A Q)^-1
        const L px = element(0, 1), py = element(0, 2), xx = element(1, 1), xy = element(1, 2), yy = element(2, 2);
        const L cxx = xa * (xa * xx + xb * xy) + xb * (xa * xy + xb * yy);
        const L cxy = xb * (xa * xx + xb * xy) + ya * (xa * xy + xb * yy);
        const L cyy = xb * (xb * xx + ya * xy) + ya * (xb * xy + ya * yy);
        const L vx = PLANE ? element(PLANE ? 4 : 0, PLANE ? 4 : 0) : zero;
        const L vy = PLANE ? element(PLANE ? 5 : 0, PLANE ? 5 : 0) : zero;
        const L caa = element(0, 0), far_x = final.x - task.x, far_y = final.y - task.y, edge = task.limit * L(T(0.999));
        const Mask sound = both(both(whole, zero < scale), is_number(caa + cxx + cyy + final.x + final.y));
        const Mask usable = both(enough, sound);
        const Mask limited = either(both(s.bounded, converged), edge * edge <= far_x * far_x + far_y * far_y);
        L status = select(converged, select(limited, L(T(AT_LIMIT)), L(T(CONVERGED))), L(T(NOT_CONVERGED)));
        status = select(usable, status, select(enough, L(T(SINGULAR)), L(T(FEW_PIXELS))));
        const L power = size * size;
        L shape[6] = {zero, zero, zero, zero, zero, zero};
        if (SHAPES > 0) shape_covariance(element, one / final.height, task, shape);
        const L results[RESULTS] = {final.height * size,
                                    final.x,
                                    final.y,
                                    final.a,
                                    final.b,
                                    final.c,
                                    final.level * size + (POISSON ? zero : mean),
                                    final.slope_x * size,
                                    final.slope_y * size,
                                    chi2 * power,
                                    caa * power,
                                    (px * xa + py * xb) * size,
                                    (px * xb + py * ya) * size,
                                    cxx,
                                    cxy,
                                    cyy,
                                    element(3, 3) * power,
                                    vx * power,
                                    vy * power,
                                    shape[0],
                                    shape[1],
                                    shape[2],
                                    shape[3],
                                    shape[4],
                                    shape[5]};
        const L kept[6] = {nothing, task.x, task.y, task.a, task.b, task.c};
        STEMDISP_UNROLL
        for (int n = 0; n < RESULTS; ++n) out.put(n, select(usable, results[n], n >= 1 && n < 6 ? kept[n] : nothing));
        out.report(0, status);
        out.report(1, s.evaluations);
        out.report(2, count);
    }
};

// The fit of W windows for one kind of model.
template <class L, int SHAPE, bool PLANE, bool TAIL, bool POISSON, bool WEIGHTED>
struct WindowFit : Solver<L, SHAPE, PLANE, POISSON> {
    static constexpr int DQ = SHAPE == SHARED ? 1 : 2, BACK = PLANE ? 2 : 0;
    using Base = Solver<L, SHAPE, PLANE, POISSON>;
    using Window = WindowSums<L, DQ, PLANE, TAIL, POISSON, WEIGHTED>;
    using typename Base::Mask;
    using typename Base::Place;
    using typename Base::Search;
    using typename Base::T;
    using typename Base::Task;
    using Sums = typename Window::Sums;
    using Limit = Limits<T>;
    using Base::entry;
    using Base::g;
    using Base::m;
    static constexpr int LINEAR = Base::LINEAR, SHAPES = Base::SHAPES, N = Base::N, P = Base::P, X = Base::X, Y = Base::Y,
                         S = Base::S;

    // Normal equations from the sums; (a0, b0, c0) is the shape that a circular column stretches.
    STEMDISP_INLINE void equations(const Sums& s, L hold, L a0, L b0, L c0) {
        using Q2 = Moments<2 * DQ>;
        using Q1 = Moments<DQ + (PLANE ? 1 : 0)>;
        using QD = Moments<DQ>;
        const L two(T(2));
        m[entry(0, 0)] = s.b1[0];
        g[0] = s.bd[0];
        if (PLANE) {
            using B = Moments<BACK>;
            m[entry(1, 0)] = s.b1[B::at(BACK / 2, 0)];
            m[entry(1, 1)] = s.b1[B::at(BACK, 0)] + hold;
            m[entry(2, 0)] = s.b1[B::at(0, BACK / 2)];
            m[entry(2, 1)] = s.b1[B::at(BACK / 2, BACK / 2)];
            m[entry(2, 2)] = s.b1[B::at(0, BACK)] + hold;
            g[1] = s.bd[PLANE ? 1 : 0];
            g[2] = s.bd[PLANE ? 2 : 0];
        }
        m[entry(P, 0)] = TAIL ? s.p1[0] : s.q1[0];
        if (PLANE) {
            m[entry(P, 1)] = TAIL ? s.p1[PLANE ? 1 : 0] : s.q1[Q1::at(1, 0)];
            m[entry(P, 2)] = TAIL ? s.p1[PLANE ? 2 : 0] : s.q1[Q1::at(0, 1)];
        }
        m[entry(P, P)] = TAIL ? s.pp : s.qq[0];
        g[P] = TAIL ? s.pd : s.qd[0];
        // Monomials next to Q, in the order of the parameters: x, y, then xx, 2 xy, yy or their sum.
        constexpr int dx[5] = {1, 0, 2, 1, 0}, dy[5] = {0, 1, 0, 1, 2};
        STEMDISP_UNROLL
        for (int k = 0; k < (SHAPE == ELLIPTICAL ? 5 : 2); ++k) {
            const int i = dx[k], j = dy[k], n = X + k;
            m[entry(n, 0)] = s.q1[Q1::at(i, j)];
            if (PLANE) m[entry(n, 1)] = s.q1[Q1::at(i + 1, j)];
            if (PLANE) m[entry(n, 2)] = s.q1[Q1::at(i, j + 1)];
            m[entry(n, P)] = TAIL ? s.pq[QD::at(i, j)] : s.qq[Q2::at(i, j)];
            g[n] = s.qd[QD::at(i, j)];
            STEMDISP_UNROLL
            for (int l = 0; l <= k; ++l) m[entry(n, X + l)] = s.qq[Q2::at(i + dx[l], j + dy[l])];
        }
        if (SHAPES == 1) {
            const L b2 = two * b0;
            constexpr int D1 = DQ + (PLANE ? 1 : 0);
            const auto sum = [&](const L* t, int xx, int xy, int yy) { return a0 * t[xx] + b2 * t[xy] + c0 * t[yy]; };
            constexpr int n = SHAPES == 1 ? S : 0;
            m[entry(n, 0)] = sum(s.q1, Q1::at(2, 0), Q1::at(1, 1), Q1::at(0, 2));
            if (PLANE) m[entry(n, 1)] = sum(s.q1, Moments<D1>::at(3, 0), Moments<D1>::at(2, 1), Moments<D1>::at(1, 2));
            if (PLANE) m[entry(n, 2)] = sum(s.q1, Moments<D1>::at(2, 1), Moments<D1>::at(1, 2), Moments<D1>::at(0, 3));
            m[entry(n, P)] = TAIL ? sum(s.pq, QD::at(2, 0), QD::at(1, 1), QD::at(0, 2))
                               : sum(s.qq, Q2::at(2, 0), Q2::at(1, 1), Q2::at(0, 2));
            m[entry(n, X)] = sum(s.qq, Q2::at(3, 0), Q2::at(2, 1), Q2::at(1, 2));
            m[entry(n, Y)] = sum(s.qq, Q2::at(2, 1), Q2::at(1, 2), Q2::at(0, 3));
            m[entry(n, n)] = a0 * sum(s.qq, Q2::at(4, 0), Q2::at(3, 1), Q2::at(2, 2)) +
                          b2 * sum(s.qq, Q2::at(3, 1), Q2::at(2, 2), Q2::at(1, 3)) +
                          c0 * sum(s.qq, Q2::at(2, 2), Q2::at(1, 3), Q2::at(0, 4));
            g[n] = sum(s.qd, QD::at(2, 0), QD::at(1, 1), QD::at(0, 2));
        }
    }

    // Fits; `out` takes each result of each lane.
    template <class Source, class Out>
    STEMDISP_INLINE void fit(Source& from, const Task& task, Out& out) {
        const L zero(T(0)), one(T(1));
        const L tail(task.tail), wide(task.wide);
        Window window;
        Search s;
        s.best.x = task.x, s.best.y = task.y, s.best.a = task.a, s.best.b = task.b, s.best.c = task.c;
        s.best.height = s.best.level = s.best.slope_x = s.best.slope_y = zero;
        if (task.owned) window.put_back(from, s.best, task.own, tail, wide);
        window.prepare(from);
        this->count = window.count, this->total = window.total, this->mean = window.mean, this->scale = window.scale;
        Place at = s.best;
        s.step = s.best;
        s.objective = s.squares = L(T(1e30));
        s.bends = s.hold = s.evaluations = zero;
        s.damping = L(Limit::first_damping);
        const Mask enough = L(T(N)) < this->count, varied = zero < this->scale;
        s.active = s.moved = both(enough, varied);
        s.closing = s.bounded = one < zero;
        const L least = larger(this->mean * L(Limit::floor), L(T(1e-6)));
        Sums sums;
        bool last = !any(s.active);
        for (int round = 0;; ++round) {
            const bool plain = POISSON && round == 0;
            s.evaluations = s.evaluations + select(s.active, one, zero);
            window.evaluate(from, at, least, plain, tail, wide, sums);
            equations(sums, s.hold, task.a, task.b, task.c);
            if (last) break;
            if (plain) {
                L linear[N];
                this->factor(0, LINEAR, zero);
                this->forward(0, LINEAR);
                this->backward(LINEAR, linear);
                at.height = linear[P];
                at.level = larger(linear[0], least);
                at.slope_x = PLANE ? linear[PLANE ? 1 : 0] : zero;
                at.slope_y = PLANE ? linear[PLANE ? 2 : 0] : zero;
                s.best = at;
                continue;
            }
            this->decide(s, at, task, sums.deviance, sums.squares);
            if (!any(s.active)) {
                equations(sums, s.hold, task.a, task.b, task.c);
                break;
            }
            if (round + 1 >= task.most) {
                at = s.best;
                last = true;
            }
        }
        this->report(s, at, task, sums.squares, enough, out);
    }
};

}  // namespace STEMDISP_LEVEL
}  // namespace stemdisp
