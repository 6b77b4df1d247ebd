// Bindings of what surrounds the sums: which columns reach into which bin, which pixels lie near columns, the solver.
#include <nanobind/stl/tuple.h>

#include <cmath>
#include <tuple>

#include "kernels.h"
#include "neighbours.h"
#include "tables.h"

namespace stemdisp {
namespace {

Share sharing(int threads) {
    return [threads](int n, const std::function<void(int, int)>& work) { share(n, threads, work); };
}

// First and last bin along one axis that an interval touches, cut to those there are; first > last for none.
std::pair<int, int> touched(double from, double to, double origin, double step, int bins) {
    const double side = step * BIN;
    const int low = int(std::floor((from - origin) / side)), high = int(std::floor((to - origin) / side));
    return {low < 0 ? 0 : low, high > bins - 1 ? bins - 1 : high};
}

template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> array(std::vector<T>&& values) {
    auto* kept = new std::vector<T>(std::move(values));
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner);
}

// Columns of each bin, ascending: where each bin's begin, and which they are.
auto bins(Array<const double, 2> start, Array<const double, 1> radius, int nx, int ny, double x0, double y0, double step) {
    require(start.shape(1) == 2 && start.shape(0) == radius.shape(0), "start (n, 2), radius (n,)");
    require(nx > 0 && ny > 0 && step > 0, "nx, ny, step: positive");
    const int bx = (nx + BIN - 1) / BIN, by = (ny + BIN - 1) / BIN, n = int(radius.shape(0));
    std::vector<int> first(size_t(bx) * by + 1, 0);
    const auto each = [&](auto&& work) {
        for (int c = 0; c < n; ++c) {
            const double x = start.data()[2 * c], y = start.data()[2 * c + 1], r = radius.data()[c];
            const auto [left, right] = touched(x - r, x + r, x0, step, bx);
            const auto [top, bottom] = touched(y - r, y + r, y0, step, by);
            for (int j = top; j <= bottom; ++j)
                for (int i = left; i <= right; ++i) {
                    // Distance from the disc's centre to the nearest sampled pixel of the bin.
                    const double low_x = x0 + step * BIN * i, low_y = y0 + step * BIN * j, side = step * (BIN - 1);
                    const double dx = x < low_x ? low_x - x : (x > low_x + side ? x - low_x - side : 0);
                    const double dy = y < low_y ? low_y - y : (y > low_y + side ? y - low_y - side : 0);
                    if (dx * dx + dy * dy <= r * r) work(size_t(j) * bx + i, c);
                }
        }
    };
    each([&](size_t bin, int) { ++first[bin + 1]; });
    for (size_t b = 1; b < first.size(); ++b) first[b] += first[b - 1];
    std::vector<int> column(first.back()), next(first.begin(), first.end() - 1);
    each([&](size_t bin, int c) { column[next[bin]++] = c; });
    return std::make_tuple(array(std::move(first)), array(std::move(column)));
}

// Marks the pixels (ny, nx) within a radius of each place.
void mark(Array<const double, 2> xy, Array<const double, 1> radius, Array<unsigned char, 2> mask) {
    require(xy.shape(1) == 2 && xy.shape(0) == radius.shape(0), "xy (n, 2), radius (n,)");
    const int ny = int(mask.shape(0)), nx = int(mask.shape(1));
    for (size_t c = 0; c < xy.shape(0); ++c) {
        const double x = xy.data()[2 * c], y = xy.data()[2 * c + 1], r = radius.data()[c];
        const double top = std::ceil(y - r), bottom = std::floor(y + r);
        for (int j = top > 0 ? int(top) : 0; j <= bottom && j < ny; ++j) {
            const double half = std::sqrt(std::fmax(r * r - (j - y) * (j - y), 0.0));
            const double left = std::ceil(x - half), right = std::floor(x + half);
            for (int i = left > 0 ? int(left) : 0; i <= right && i < nx; ++i) mask.data()[size_t(j) * nx + i] = 1;
        }
    }
}

// Sums of an image (ny, nx) over the pixels within a radius of each place.
template <class T>
void disc_sums(Array<const T, 2> image, Array<const double, 2> xy, double radius, Array<double, 1> sums, int threads) {
    require(xy.shape(1) == 2 && xy.shape(0) == sums.shape(0), "xy (n, 2), sums (n,)");
    const int ny = int(image.shape(0)), nx = int(image.shape(1));
    const T* pixels = image.data();
    const double* place = xy.data();
    double* out = sums.data();
    nb::gil_scoped_release release;
    share(int(xy.shape(0)), threads, [=](int from, int to) {
        for (int c = from; c < to; ++c) {
            const double x = place[2 * c], y = place[2 * c + 1], r2 = radius * radius;
            double total = 0;
            const double top = std::ceil(y - radius), bottom = std::floor(y + radius);
            for (int j = top > 0 ? int(top) : 0; j <= bottom && j < ny; ++j) {
                const double left = std::ceil(x - radius), right = std::floor(x + radius);
                for (int i = left > 0 ? int(left) : 0; i <= right && i < nx; ++i)
                    if ((i - x) * (i - x) + (j - y) * (j - y) <= r2) total += double(pixels[size_t(j) * nx + i]);
            }
            out[c] = total;
        }
    });
}

// Solves for steps, as solver.h says.
template <class T>
int solve_for_steps(const Neighbours& pairs, Array<const T, 2> blocks, Array<const double, 2> extra,
                    Array<const unsigned char, 2> free, Array<const int, 2> tied, Array<const double, 2> border,
                    Array<const double, 2> corner, Array<const int, 1> group, Array<const double, 1> height,
                    Array<const double, 1> gradient, Array<const double, 1> shared_gradient, Array<double, 1> x,
                    Array<double, 1> y, double damping, double tolerance, int most, int threads) {
    const size_t shared = shared_gradient.shape(0), size = size_t(pairs.elements) * 3;
    System<T> s = pairs.system<T>(blocks, extra, free, tied);
    require(border.shape(0) == shared && border.shape(1) == size, "border: (S, 3 E)");
    require(corner.shape(0) == shared && corner.shape(1) == shared, "corner: (S, S)");
    require(gradient.shape(0) == size && x.shape(0) == size && y.shape(0) == shared, "gradient, x: (3 E,), y: (S,)");
    require(int(group.shape(0)) == pairs.columns && int(height.shape(0)) == pairs.columns, "group, height: (columns,)");
    s.shared = int(shared);
    s.border = border.data();
    s.corner = corner.data();
    for (int c = 0; c < pairs.columns; ++c) s.groups = group.data()[c] >= s.groups ? group.data()[c] + 1 : s.groups;
    s.group = group.data();
    s.height = height.data();
    s.damping = damping;
    nb::gil_scoped_release release;
    return active->of<T>().solve(s, gradient.data(), shared_gradient.data(), x.data(), y.data(), tolerance, most, sharing(threads));
}

template <class T>
void covariances(const Neighbours& pairs, Array<const T, 2> blocks, Array<const double, 2> extra,
                 Array<const unsigned char, 2> free, Array<const int, 2> tied, Array<const int, 2> near,
                 Array<double, 2> result, int threads) {
    require(result.shape(0) == near.shape(0) && result.shape(1) == 9, "near (n, m), result (n, 9)");
    for (size_t k = 0; k < near.shape(0) * near.shape(1); ++k)
        require(near.data()[k] >= 0 && near.data()[k] < pairs.elements, "near: out of range");
    const System<T> s = pairs.system<T>(blocks, extra, free, tied);
    nb::gil_scoped_release release;
    active->of<T>().covariance(s, near.data(), int(near.shape(0)), int(near.shape(1)), result.data(), sharing(threads));
}

}  // namespace

void add_solver(nb::module_& m) {
    m.def("bins", bins);
    m.def("mark", mark);
    m.def("disc_sums", disc_sums<float>);
    m.def("disc_sums", disc_sums<double>);
    nb::class_<Neighbours>(m, "Neighbours").def(nb::init<Array<const int, 2>, int, int>());
    m.def("solve", solve_for_steps<float>);
    m.def("solve", solve_for_steps<double>);
    m.def("covariance", covariances<float>);
    m.def("covariance", covariances<double>);
}

}  // namespace stemdisp
