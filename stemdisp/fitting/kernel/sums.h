// Sums of a joint fit over the pixels of one bin: residual, gradient of everything, curvature of every pair.
//
// The derivatives of all columns and knots that reach into the bin are computed once, into rows of a small table that stays
// in the cache; every sum is then a product of two of its rows.  A bin adds what it finds to the sums of the image: bins that
// share a column must not be worked on at the same time.
#pragma once

#include <algorithm>
#include <vector>

#include "joint.h"
#include "kernels.h"

namespace stemdisp {
namespace STEMDISP_LEVEL {

template <class L, bool TAIL>
class BinSums {
  public:
    using T = typename L::Scalar;

    BinSums(const Image& image_, const Graph& graph_)
        : in(image_), graph(graph_), lanes(L::count() * L(T(in.raster.step))), shapes(in.columns.groups + (TAIL ? 4 : 2)) {}

    // Adds the sums of one bin.
    void add(int bin, const T* image, const Sums<T>& out, const OwnSums& own) {
        place(bin);
        evaluate_columns();
        evaluate_knots();
        weigh(image, out, own);
        gradient(out, own);
        if (out.blocks) curvature(out, own);
    }

  private:
    static constexpr int PIXELS = BIN * BIN, VECTORS = BIN / L::width;

    // Rows of the table: three of each column, one of each knot, one of each parameter of the shape.
    T* column_row(int c) { return &table[size_t(3 * c) * PIXELS]; }
    T* knot_row(int k) { return &table[size_t(3 * columns + k) * PIXELS]; }
    T* shape_row(int s) { return &table[size_t(3 * columns + knots + s) * PIXELS]; }
    T* spare_row(int n) { return &table[size_t(3 * columns + knots + shapes + n) * PIXELS]; }
    T* model() { return spare_row(3); }
    T* weight() { return spare_row(4); }
    T* rest() { return spare_row(5); }

    void place(int bin) {
        const Raster& r = in.raster;
        const KnotTable& k = in.knots;
        listed = in.bins.column + in.bins.first[bin];
        columns = in.bins.first[bin + 1] - in.bins.first[bin];
        i0 = bin % in.bins.nx * BIN;
        j0 = bin / in.bins.nx * BIN;
        rows = r.ny - j0 < BIN ? r.ny - j0 : BIN;
        x0 = r.x0 + r.step * i0;
        y0 = r.y0 + r.step * j0;
        const int left = between(x0 - k.x0, k.spacing, k.nx), right = between(x0 + r.step * (BIN - 1) - k.x0, k.spacing, k.nx);
        const int top = between(y0 - k.y0, k.spacing, k.ny), bottom = between(y0 + r.step * (BIN - 1) - k.y0, k.spacing, k.ny);
        knot.clear();
        for (int j = top; j <= bottom + 1; ++j)
            for (int i = left; i <= right + 1; ++i) knot.push_back(j * k.nx + i);
        knots = int(knot.size());
        table.resize(size_t(3 * columns + knots + shapes + 6) * PIXELS);
        begin.resize(columns);
        end.resize(columns);
        for (T* p = shape_row(0); p < spare_row(0); ++p) *p = 0;
        for (int p = 0; p < PIXELS; ++p) model()[p] = 0;
    }

    // The knot before a place, of those that have one behind them.
    static int between(double away, double spacing, int n) {
        const int k = int(std::floor(away / spacing));
        return k < 0 ? 0 : (k > n - 2 ? n - 2 : k);
    }

    void evaluate_columns() {
        // Everything in variables of its own: a store to the table might otherwise have changed it, as far as a compiler knows.
        const Raster r = in.raster;
        const Profile p = in.profile;
        const L lane = lanes, zero(T(0)), unit(T((p.m00 + p.m11) / 2)), unit2(T(1 / (1 - p.m1 * p.m1 - p.m2 * p.m2)));
        const L pull1 = unit2 * L(T(p.m1)), pull2 = unit2 * L(T(p.m2)), m00(T(p.m00)), m01(T(p.m01)), m11(T(p.m11));
        const double wide = r.step * L::width, left = x0, top = y0;
        T* const sum = model();
        T* const others = shape_row(in.columns.groups);
        for (int c = 0; c < columns; ++c) {
            const int i = listed[c];
            const Column<T> column(in.columns, p, i);
            const double* slopes = in.columns.rim_slopes + 3 * size_t(i);
            const L rim0{T(slopes[0])}, rim1{T(slopes[1])}, rim2{T(slopes[2])}, rim(column.rim), amplitude(column.amplitude);
            const L core_slope(column.core_slope), wide_slope(column.wide_slope);
            T *const own = column_row(c), *const widths = shape_row(in.columns.group[i]);
            int from, to;
            samples(column.sy - column.radius, column.sy + column.radius, r.y0, r.step, r.ny, from, to);
            from = from < j0 ? 0 : from - j0;
            to = to - j0 > rows ? rows : to - j0;
            begin[c] = from;
            end[c] = to;
            T dy[BIN], room[BIN];
            double half[BIN];  // of the disc's chord
            for (int j = from; j < to; ++j) {
                const double y = top + r.step * j, away = y - column.sy, inner = column.radius * column.radius - away * away;
                dy[j] = T(y - column.y);
                room[j] = T(inner);
                half[j] = inner < 0 ? -1e300 : std::sqrt(inner);
            }
            const int nearest = int(std::floor((column.y - top) / r.step + 0.5));
            for (int v = 0; v < VECTORS; ++v) {
                const double x = left + wide * v;
                int first = to, last = from;
                for (int j = from; j < to; ++j)
                    if (x <= column.sx + half[j] && x + wide > column.sx - half[j]) {
                        if (first > j) first = j;
                        last = j + 1;
                    }
                T* const strip = own + v * L::width;
                for (int n = 0; n < 3; ++n) {
                    for (int j = from; j < first; ++j) zero.store(strip + n * PIXELS + j * BIN);
                    for (int j = last; j < to; ++j) zero.store(strip + n * PIXELS + j * BIN);
                }
                if (first >= last) continue;
                const L dx = lane + L(T(x - column.x)), ds = dx + L(T(column.x - column.sx)), ds2 = ds * ds;
                const L m00_dx = m00 * dx, m01_dx = m01 * dx, dx2 = dx * dx;
                const int centre = nearest < first ? first : (nearest >= last ? last - 1 : nearest);
                for (int side = 0; side < 2; ++side) {
                    const int by = side ? -1 : 1, stop = side ? first - 1 : last;
                    int j = side ? centre - 1 : centre;
                    if (j == stop) continue;
                    const L height(dy[j]), step(T(by * r.step));
                    GaussianStrip<L> core(L(column.core_rate), m00, m01, m11, dx, height, step), tail;
                    if (TAIL) tail = GaussianStrip<L>(L(column.wide_rate), m00, m01, m11, dx, height, step);
                    for (; j != stop; j += by) {
                        const int at = v * L::width + j * BIN;
                        const L y(dy[j]), mx = m00_dx + m01 * y, my = m01_dx + m11 * y, r2 = mx * dx + my * y;
                        const auto inside = ds2 <= L(room[j]);
                        const L strong = select(inside, amplitude, zero);
                        L slope = core_slope * core.value, profile = core.value;
                        if (TAIL) {
                            slope = slope + wide_slope * tail.value;
                            profile = L(column.core_part) * core.value + L(column.wide_part) * tail.value;
                        }
                        const L value = select(inside, profile - rim, zero);
                        slope = slope * strong;
                        value.store(own + at);
                        (slope * mx).store(own + PIXELS + at);
                        (slope * my).store(own + 2 * PIXELS + at);
                        const L half_slope = slope * L(T(-0.5));
                        add_to(sum + at, amplitude * value);
                        add_to(widths + at, slope * r2 - strong * rim0);
                        add_to(others + at, half_slope * (unit * (dx2 - y * y) + pull1 * r2));
                        add_to(others + PIXELS + at, half_slope * (unit * (dx + dx) * y + pull2 * r2));
                        if (TAIL) {
                            add_to(others + 2 * PIXELS + at, strong * (tail.value - core.value - rim1));
                            add_to(others + 3 * PIXELS + at, strong * (wide_slope * tail.value * r2 - rim2));
                            tail.advance();
                        }
                        core.advance();
                    }
                }
            }
        }
    }

    void evaluate_knots() {
        for (int k = 0; k < knots; ++k) {
            KnotRow<L> row(in.knots, knot[k]);
            const L height(T(in.knots.value[knot[k]])), zero(T(0));
            for (int j = 0; j < rows; ++j) {
                const bool there = row.row(y0 + in.raster.step * j);
                for (int v = 0; v < VECTORS; ++v) {
                    const int at = j * BIN + v * L::width;
                    const L value = there ? row.value(x0 + in.raster.step * L::width * v, lanes) : zero;
                    value.store(knot_row(k) + at);
                    add_to(model() + at, height * value);
                }
            }
        }
    }

    // Weights and weighted residual; both 0 where the image is no number.
    void weigh(const T* image, const Sums<T>& out, const OwnSums& own) {
        const Variance& variance = in.variance;
        const L zero(T(0)), one(T(1));
        L squares = zero, count = zero;
        for (int j = 0; j < rows; ++j)
            for (int v = 0; v < VECTORS; ++v) {
                const int at = j * BIN + v * L::width;
                const long long pixel = (long long)(j0 + j) * in.raster.stride + i0 + v * L::width;
                const L seen = L::load(image + pixel), expected = L::load(model() + at);
                const auto used = is_number(seen);
                const L w = select(
                    used, one / larger(L(T(variance.offset)) + L(T(variance.gain)) * expected, L(T(variance.floor))), zero);
                const L left = select(used, seen - expected, zero);
                w.store(weight() + at);
                (w * left).store(rest() + at);
                squares = squares + w * left * left;
                count = count + select(used, one, zero);
                if (out.rest) left.store(out.rest + pixel);
                if (out.weight) w.store(out.weight + pixel);
            }
        *own.squares += double(squares.sum());
        *own.pixels += double(count.sum());
    }

    void gradient(const Sums<T>& out, const OwnSums& own) {
        double sums[3];
        for (int c = 0; c < columns; ++c) {
            dots<1, 3>(rest(), column_row(c), begin[c], end[c], sums);
            for (int n = 0; n < 3; ++n) out.columns[3 * size_t(listed[c]) + n] += sums[n];
        }
        for (int k = 0; k < knots; ++k) {
            dots<1, 1>(rest(), knot_row(k), 0, rows, sums);
            own.knots[knot[k]] += sums[0];
        }
        for (int s = 0; s < shapes; ++s) {
            dots<1, 1>(rest(), shape_row(s), 0, rows, sums);
            own.shape[s] += sums[0];
        }
    }

    void curvature(const Sums<T>& out, const OwnSums& own) {
        double sums[9];
        const int all = in.columns.n + in.knots.nx * in.knots.ny;
        T* weighted = spare_row(0);
        for (int c = 0; c < columns; ++c) {
            const int i = listed[c];
            for (int n = 0; n < 3; ++n) weigh_row(column_row(c) + n * PIXELS, weighted + n * PIXELS, begin[c], end[c]);
            int at = graph.first[i];
            for (int d = c; d < columns; ++d) {
                const int from = std::max(begin[c], begin[d]), to = std::min(end[c], end[d]);
                const int slot = d == c ? graph.own[i] : find(i, listed[d], at);
                if (slot < 0 || from >= to) continue;
                dots<3, 3>(weighted, column_row(d), from, to, sums);
                for (int n = 0; n < 9; ++n) out.blocks[9 * size_t(slot) + n] += T(sums[n]);
            }
            for (int k = 0; k < knots; ++k) {
                const int slot = find(i, in.columns.n + knot[k], at);
                if (slot < 0) continue;
                dots<3, 1>(weighted, knot_row(k), begin[c], end[c], sums);
                for (int n = 0; n < 3; ++n) out.blocks[9 * size_t(slot) + 3 * n] += T(sums[n]);
            }
            for (int s = 0; s < shapes; s += 2) {
                const int wide = s + 2 <= shapes ? 2 : 1;
                if (wide == 2)
                    dots<3, 2>(weighted, shape_row(s), begin[c], end[c], sums);
                else
                    dots<3, 1>(weighted, shape_row(s), begin[c], end[c], sums);
                for (int m = 0; m < wide; ++m)
                    for (int n = 0; n < 3; ++n)
                        out.border[(size_t(s + m) * all + i) * 3 + n] += sums[wide * n + m];
            }
        }
        for (int k = 0; k < knots; ++k) {
            const int i = in.columns.n + knot[k];
            weigh_row(knot_row(k), weighted, 0, rows);
            int at = graph.first[i];
            for (int l = k; l < knots; ++l) {
                const int slot = l == k ? graph.own[i] : find(i, in.columns.n + knot[l], at);
                if (slot < 0) continue;
                dots<1, 1>(weighted, knot_row(l), 0, rows, sums);
                own.knot_pairs[slot - graph.knot_pairs] += sums[0];
            }
            for (int s = 0; s < shapes; ++s) {
                dots<1, 1>(weighted, shape_row(s), 0, rows, sums);
                own.border[size_t(s) * in.knots.nx * in.knots.ny + knot[k]] += sums[0];
            }
        }
        for (int s = 0; s < shapes; ++s) {
            weigh_row(shape_row(s), weighted, 0, rows);
            for (int t = 0; t <= s; ++t) {
                dots<1, 1>(weighted, shape_row(t), 0, rows, sums);
                own.corner[s * (in.columns.groups + 4) + t] += sums[0];
            }
        }
    }

    static STEMDISP_INLINE void add_to(T* place, L value) { (L::load(place) + value).store(place); }

    void weigh_row(const T* row, T* weighted, int from, int to) {
        for (int p = from * BIN; p < to * BIN; p += L::width)
            (L::load(row + p) * L::load(weight() + p)).store(weighted + p);
    }

    // The pair of element i and a later one, or -1; `at` goes on from where the last search ended.
    int find(int i, int j, int& at) const {
        while (at < graph.first[i + 1] && graph.other[at] < j) ++at;
        return at < graph.first[i + 1] && graph.other[at] == j ? graph.entry[at] : -1;
    }

    // Products (A, B) of A rows with B others, over some rows of pixels.
    template <int A, int B>
    static STEMDISP_INLINE void dots(const T* a, const T* b, int from, int to, double* sums) {
        L sum[A][B];
        for (int m = 0; m < A; ++m)
            for (int n = 0; n < B; ++n) sum[m][n] = L(T(0));
        for (int p = from * BIN; p < to * BIN; p += L::width) {
            L left[A];
            for (int m = 0; m < A; ++m) left[m] = L::load(a + m * PIXELS + p);
            for (int n = 0; n < B; ++n) {
                const L right = L::load(b + n * PIXELS + p);
                for (int m = 0; m < A; ++m) sum[m][n] = sum[m][n] + left[m] * right;
            }
        }
        for (int m = 0; m < A; ++m)
            for (int n = 0; n < B; ++n) sums[B * m + n] = double(sum[m][n].sum());
    }

    const Image& in;
    const Graph& graph;
    const L lanes;
    const int shapes;
    const int* listed = nullptr;
    int columns = 0, knots = 0, rows = 0, i0 = 0, j0 = 0;
    double x0 = 0, y0 = 0;
    std::vector<T> table;
    std::vector<int> knot, begin, end;
};

}  // namespace STEMDISP_LEVEL
}  // namespace stemdisp
