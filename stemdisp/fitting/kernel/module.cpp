// The compiled kernels as a Python module: checks and unpacks arrays, picks the instruction set, shares tasks among threads.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>

#include "binding.h"
#include "kernels.h"

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
        in.columns = {int(n), xy.data(), start.data(), radius.data(), amplitude.data(), half.data(), rim.data(),
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

template <class T>
const JointKernels<T>& joint();
template <>
const JointKernels<float>& joint<float>() { return active->joint_float; }
template <>
const JointKernels<double>& joint<double>() { return active->joint_double; }

template <class T>
void render(const Tables& t, Array<const T, 1> image, Array<T, 1> residual, Array<T, 1> weight, Array<double, 2> totals,
            int threads) {
    require(image.shape(0) == t.pixels() && residual.shape(0) == t.pixels() && weight.shape(0) == t.pixels(),
            "images: (ny * stride + margin,)");
    require(int(totals.shape(0)) == t.bins() && totals.shape(1) == 2, "totals: (bins, 2)");
    const auto run = joint<T>().render;
    nb::gil_scoped_release release;
    share(t.bins(), threads,
          [&](int a, int b) { run(t.in, image.data(), residual.data(), weight.data(), totals.data(), a, b); });
}

template <class T>
void slopes(const Tables& t, int group, Array<const T, 1> weight, Array<T, 2> images, int threads) {
    require(weight.shape(0) == t.pixels() && images.shape(1) == t.pixels(), "images: (ny * stride + margin,)");
    require(images.shape(0) == (group >= 0 ? 1u : 4u), "slopes: 1 image for a group, 4 for the rest");
    T* places[4] = {};
    for (size_t s = 0; s < images.shape(0); ++s) places[s] = images.data() + s * t.pixels();
    const auto run = joint<T>().slopes;
    nb::gil_scoped_release release;
    share(t.bins(), threads, [&](int a, int b) { run(t.in, group, weight.data(), places, a, b); });
}

template <class T>
void gather(const Tables& t, Array<const T, 1> residual, Array<double, 2> sums, int threads) {
    require(residual.shape(0) == t.pixels(), "images: (ny * stride + margin,)");
    require(int(sums.shape(0)) == t.in.columns.n && sums.shape(1) == 9, "sums: (n, 9)");
    const auto run = joint<T>().gather;
    nb::gil_scoped_release release;
    share(t.in.columns.n, threads, [&](int a, int b) { run(t.in, residual.data(), sums.data(), a, b); });
}

template <class T>
void project(const Tables& t, Array<const T, 2> images, Array<double, 3> sums, int from, int threads) {
    const size_t count = images.shape(0);
    require(images.shape(1) == t.pixels() && count >= 1 && count <= 4, "images: 1 to 4 of (ny * stride + margin,)");
    require(int(sums.shape(0)) == t.elements() && sums.shape(1) == count && sums.shape(2) == 3,
            "sums: (columns + knots, images, 3)");
    require(from >= 0 && from <= t.elements(), "from: out of range");
    const T* places[4] = {};
    for (size_t s = 0; s < count; ++s) places[s] = images.data() + s * t.pixels();
    const auto run = joint<T>().project;
    nb::gil_scoped_release release;
    share(t.elements() - from, threads,
          [&](int a, int b) { run(t.in, places, int(count), sums.data(), from + a, from + b); });
}

template <class T>
void pairs(const Tables& t, Array<const T, 1> weight, Array<const int, 2> list, Array<double, 2> blocks, int threads) {
    require(weight.shape(0) == t.pixels(), "images: (ny * stride + margin,)");
    require(list.shape(1) == 2 && blocks.shape(0) == list.shape(0) && blocks.shape(1) == 9, "pairs (m, 2), blocks (m, 9)");
    for (size_t m = 0; m < list.shape(0); ++m) {
        const int i = list.data()[2 * m], j = list.data()[2 * m + 1];
        require(0 <= i && i <= j && j < t.elements(), "pairs: i <= j, both elements");
    }
    const auto run = joint<T>().pairs;
    nb::gil_scoped_release release;
    share(int(list.shape(0)), threads, [&](int a, int b) { run(t.in, weight.data(), list.data(), blocks.data(), a, b); });
}

template <class T>
void add_joint(nb::module_& m) {
    m.def("render", render<T>);
    m.def("slopes", slopes<T>);
    m.def("gather", gather<T>);
    m.def("project", project<T>);
    m.def("pairs", pairs<T>);
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
    add_joint<float>(m);
    add_joint<double>(m);
    add_solver(m);
    add_windows(m);
}
