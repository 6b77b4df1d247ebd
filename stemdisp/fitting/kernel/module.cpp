// The compiled kernels as a Python module: checks and unpacks arrays, picks the instruction set, shares tasks among threads.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <optional>
#include <string>

#include "kernels.h"
#include "neighbours.h"

namespace stemdisp {

const Kernels* best() {
#ifdef STEMDISP_X86_LEVELS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return &kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kernels_avx2;
#endif
    return &kernels_baseline;
}

const Kernels* active = best();

std::vector<std::string> levels() {
    std::vector<std::string> names{"baseline"};
#ifdef STEMDISP_X86_LEVELS
    const std::string top = best()->name;
    if (top != "baseline") names.push_back("avx2");
    if (top == "avx512") names.push_back("avx512");
#endif
    return names;
}

void use(const std::string& name) {
    for (const auto& known : levels())
        if (known == name) {
            active = &kernels_baseline;
#ifdef STEMDISP_X86_LEVELS
            if (name == "avx2") active = &kernels_avx2;
            if (name == "avx512") active = &kernels_avx512;
#endif
            return;
        }
    throw std::invalid_argument("this processor or build has no level " + name);
}

// Tables of one image; keeps the arrays alive.
struct Tables {
    Array<const double, 2> xy, start;
    Array<const double, 1> radius, amplitude, half, rim;
    Array<const double, 2> rim_slopes;
    Array<const int, 1> group;
    Array<const double, 2> knots;
    Array<const int, 1> first, column;
    Image in;

    Tables(Array<const double, 2> xy_, Array<const double, 2> start_, Array<const double, 1> radius_,
           Array<const double, 1> amplitude_, Array<const double, 1> half_, Array<const double, 1> rim_,
           Array<const double, 2> rim_slopes_, Array<const int, 1> group_,
           std::vector<double> profile, Array<const double, 2> knots_, std::vector<double> knot_grid,
           std::vector<int> size, std::vector<double> grid, std::vector<double> variance, Array<const int, 1> first_,
           Array<const int, 1> column_)
        : xy(xy_), start(start_), radius(radius_), amplitude(amplitude_), half(half_), rim(rim_), rim_slopes(rim_slopes_), group(group_), knots(knots_),
          first(first_), column(column_) {
        const size_t n = radius.shape(0);
        require(xy.shape(0) == n && xy.shape(1) == 2 && start.shape(0) == n && start.shape(1) == 2, "xy, start: (n, 2)");
        require(amplitude.shape(0) == n && half.shape(0) == n && rim.shape(0) == n && group.shape(0) == n,
                "amplitude, half, rim, group: (n,)");
        require(rim_slopes.shape(0) == n && rim_slopes.shape(1) == 3, "rim_slopes: (n, 3)");
        require(profile.size() == 8 && knot_grid.size() == 3 && size.size() == 3 && grid.size() == 3 && variance.size() == 3,
                "profile (8), knot grid (3), size (3), grid (3), variance (3)");
        require(size[0] > 0 && size[1] > 0 && size[2] >= (size[0] + BIN - 1) / BIN * BIN + MARGIN, "size: nx, ny, stride");
        require(knots.shape(0) >= 2 && knots.shape(1) >= 2, "knots: at least 2 x 2");
        in.raster = {size[0], size[1], size[2], grid[0], grid[1], grid[2]};
        int groups = 0;
        for (size_t c = 0; c < n; ++c) {
            require(group.data()[c] >= 0, "group: not negative");
            groups = group.data()[c] >= groups ? group.data()[c] + 1 : groups;
        }
        in.columns = {int(n), groups, xy.data(), start.data(), radius.data(), amplitude.data(), half.data(), rim.data(),
                      rim_slopes.data(), group.data()};
        in.knots = {int(knots.shape(1)), int(knots.shape(0)), knot_grid[0], knot_grid[1], knot_grid[2], knots.data()};
        in.profile = {profile[0], profile[1], profile[2], profile[3], profile[4], profile[5], profile[6],
                      profile[7] != 0};
        in.variance = {variance[0], variance[1], variance[2]};
        in.bins = {(size[0] + BIN - 1) / BIN, (size[1] + BIN - 1) / BIN, first.data(), column.data()};
        const size_t bins = size_t(in.bins.nx) * in.bins.ny;
        require(first.shape(0) == bins + 1 && first.data()[0] == 0 && size_t(first.data()[bins]) == column.shape(0),
                "first: one more than there are bins");
        for (size_t b = 0; b < bins; ++b) require(first.data()[b] <= first.data()[b + 1], "first: ascending");
        for (size_t m = 0; m < column.shape(0); ++m)
            require(column.data()[m] >= 0 && size_t(column.data()[m]) < n, "column: out of range");
    }
    int bins() const { return in.bins.nx * in.bins.ny; }
    int elements() const { return in.columns.n + in.knots.nx * in.knots.ny; }
    size_t pixels() const { return size_t(in.raster.ny) * in.raster.stride + MARGIN; }
};

// Rows of bins in a band: enough that no column reaches across one.
int band_height(const Image& in) {
    double radius = 0;
    for (int c = 0; c < in.columns.n; ++c) radius = std::fmax(radius, in.columns.radius[c]);
    return int(std::ceil(2 * radius / (BIN * in.raster.step))) + 1;
}

// Sums over all pixels: gradient of columns (n, 3), knots (k,) and shape (S,), weighted squares and number of pixels (2,); if
// asked, curvature of pairs (m, 9), border (S, elements, 3) and corner (S, S); if asked, image minus model and weight.
// Arrays come filled with zeros.
template <class T>
void sum(const Tables& t, const Neighbours& pairs, Array<const T, 1> image, Array<double, 2> columns, Array<double, 1> knots,
         Array<double, 1> shape, Array<double, 1> totals, std::optional<Array<T, 2>> blocks,
         std::optional<Array<double, 3>> border, std::optional<Array<double, 2>> corner, std::optional<Array<T, 1>> rest,
         std::optional<Array<T, 1>> weight, int threads) {
    const Image& in = t.in;
    const Graph graph = pairs.graph();
    const size_t n = size_t(in.columns.n), k = size_t(in.knots.nx) * in.knots.ny, s = size_t(in.columns.groups) + 4;
    require(graph.columns == in.columns.n && graph.elements == t.elements(), "pairs: of these columns and knots");
    require(image.shape(0) == t.pixels(), "image: (ny * stride + margin,)");
    require(columns.shape(0) == n && columns.shape(1) == 3 && knots.shape(0) == k && shape.shape(0) == s,
            "columns (n, 3), knots (k,), shape (groups + 4,)");
    require(totals.shape(0) == 2, "totals: (2,)");
    require(blocks.has_value() == border.has_value() && blocks.has_value() == corner.has_value(), "curvature: all or none");
    if (blocks) {
        require(blocks->shape(0) == pairs.size() && blocks->shape(1) == 9, "blocks: (m, 9)");
        require(border->shape(0) == s && border->shape(1) == n + k && border->shape(2) == 3, "border: (S, elements, 3)");
        require(corner->shape(0) == s && corner->shape(1) == s, "corner: (S, S)");
    }
    require(!rest || rest->shape(0) == t.pixels(), "rest: like the image");
    require(!weight || weight->shape(0) == t.pixels(), "weight: like the image");
    const Sums<T> out = {columns.data(), blocks ? blocks->data() : nullptr, border ? border->data() : nullptr,
                         rest ? rest->data() : nullptr, weight ? weight->data() : nullptr};
    const auto run = active->of<T>().sums;
    nb::gil_scoped_release release;
    const int high = band_height(in), bands = (in.bins.ny + high - 1) / high;
    const size_t knot_pairs = pairs.size() - graph.knot_pairs, size = k + s + (blocks ? knot_pairs + s * k + s * s : 0) + 2;
    std::vector<double> own(size * bands, 0.0);
    const auto of = [&](int band) {
        double* p = &own[size * band];
        OwnSums sums = {p, p + k, nullptr, nullptr, nullptr, p + size - 2, p + size - 1};
        if (blocks) {
            sums.knot_pairs = p + k + s;
            sums.border = sums.knot_pairs + knot_pairs;
            sums.corner = sums.border + s * k;
        }
        return sums;
    };
    // Every other band first: those share no column, and each adds up its bins in one order whatever the number of threads.
    for (int odd = 0; odd < 2; ++odd)
        share((bands + 1 - odd) / 2, threads, [&](int a, int b) {
            for (int band = 2 * a + odd; band < 2 * b + odd; band += 2) {
                const int first = band * high, last = first + high < in.bins.ny ? first + high : in.bins.ny;
                run(in, graph, image.data(), out, of(band), first * in.bins.nx, last * in.bins.nx);
            }
        });
    for (int band = 0; band < bands; ++band) {
        const OwnSums sums = of(band);
        for (size_t i = 0; i < k; ++i) knots.data()[i] += sums.knots[i];
        for (size_t i = 0; i < s; ++i) shape.data()[i] += sums.shape[i];
        totals.data()[0] += *sums.squares;
        totals.data()[1] += *sums.pixels;
        if (!blocks) continue;
        for (size_t i = 0; i < knot_pairs; ++i) out.blocks[9 * (graph.knot_pairs + i)] += T(sums.knot_pairs[i]);
        for (size_t i = 0; i < s; ++i)
            for (size_t j = 0; j < k; ++j) out.border[(i * (n + k) + n + j) * 3] += sums.border[i * k + j];
        for (size_t i = 0; i < s; ++i)
            for (size_t j = 0; j < i; ++j) {
                corner->data()[i * s + j] += sums.corner[i * s + j];
                corner->data()[j * s + i] += sums.corner[i * s + j];
            }
        for (size_t i = 0; i < s; ++i) corner->data()[i * s + i] += sums.corner[i * s + i];
    }
}

}  // namespace stemdisp

namespace stemdisp {
void add_solver(nanobind::module_& m);
void add_windows(nanobind::module_& m);
}

NB_MODULE(_kernel, m) {
    using namespace stemdisp;
    m.doc() = "The compiled fit; called through stemdisp.fitting.";
    m.attr("BIN") = BIN;
    m.attr("MARGIN") = MARGIN;
    m.def("levels", levels);
    m.def("use", use);
    m.def("level", [] { return std::string(active->name); });
    nb::class_<Tables>(m, "Tables")
        .def(nb::init<Array<const double, 2>, Array<const double, 2>, Array<const double, 1>, Array<const double, 1>,
                      Array<const double, 1>, Array<const double, 1>, Array<const double, 2>, Array<const int, 1>, std::vector<double>,
                      Array<const double, 2>, std::vector<double>, std::vector<int>, std::vector<double>, std::vector<double>,
                      Array<const int, 1>, Array<const int, 1>>());
    add_solver(m);
    m.def("sum", sum<float>, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
          nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg());
    m.def("sum", sum<double>, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
          nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg());
    add_windows(m);
}
