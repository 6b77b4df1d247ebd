// Bindings of the fit of single columns in small windows.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include <cmath>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "binding.h"
#include "kernels.h"
#include "window_kernels.h"

namespace stemdisp {

extern const Kernels* active;

namespace {

const WindowLevel& level() {
#ifdef STEMDISP_X86_LEVELS
    for (const WindowLevel* known : {&windows_avx2, &windows_avx512})
        if (std::string(known->name) == active->name) return *known;
#endif
    return windows_baseline;
}

template <class T>
const WindowKernels<T>& kernels();
template <>
const WindowKernels<float>& kernels<float>() { return level().single; }
template <>
const WindowKernels<double>& kernels<double>() { return level().twice; }

constexpr int PART = 256;  // columns whose windows stay in a cache

// shape (0 shared, 1 circular, 2 elliptical), plane, Poisson, tail, wide
using Model = std::tuple<int, bool, bool, double, double>;
// size, radius, ridge, tolerance, most
using Rule = std::tuple<int, double, double, double, int>;

template <class T>
void fit_windows(Array<const T, 2> image, std::optional<Array<const T, 2>> weight, Array<const double, 2> start,
                 Array<const double, 2> shape, Array<const double, 1> limit, std::optional<Array<const double, 1>> own, const Model& model, const Rule& rule,
                 Array<double, 2> results, Array<int, 2> reports, int threads) {
    const size_t n = start.shape(0);
    require(start.shape(1) == 2 && shape.shape(0) == n && shape.shape(1) == 3, "start (n, 2), shape (n, 3)");
    require(limit.shape(0) == n && (!own || own->shape(0) == n), "limit, own (n,)");
    require(results.shape(0) == n && results.shape(1) == RESULTS, "results (n, 25)");
    require(reports.shape(0) == n && reports.shape(1) == REPORTS, "reports (n, 3)");
    require(!weight || (weight->shape(0) == image.shape(0) && weight->shape(1) == image.shape(1)), "weight: as the image");
    require(n < (1u << 31) && image.shape(0) < (1u << 30) && image.shape(1) < (1u << 30), "too large");
    const auto [kind, plane, poisson, tail, wide] = model;
    const auto [size, radius, ridge, tolerance, most] = rule;
    require(kind >= SHARED && kind <= ELLIPTICAL, "shape: 0, 1 or 2");
    require(size % 2 == 1 && size >= 3 && size <= LARGEST_WINDOW, "size: odd, 3 to 129");
    require(most >= 1 && radius > 0 && tolerance > 0 && ridge >= 0, "radius, tolerance and most: positive");
    require(tail >= 0 && tail < 1 && wide > 0, "tail: 0 to 1; wide: positive");
    for (size_t i = 0; i < 2 * n; ++i) require(std::fabs(start.data()[i]) < 1e9, "start: finite");
    const WindowTable<T> table{int(n),
                               size,
                               int(image.shape(1)),
                               int(image.shape(0)),
                               image.data(),
                               weight ? weight->data() : nullptr,
                               start.data(),
                               shape.data(),
                               limit.data(),
                               own ? own->data() : nullptr,
                               radius,
                               ridge,
                               tolerance,
                               most};
    const WindowModel fitted{kind, plane, poisson, tail, wide};
    const WindowKernels<T>& run = kernels<T>();
    nb::gil_scoped_release release;
    // A part is sorted and fitted while its pixels are at hand.
    const int parts = int((n + PART - 1) / PART);
    share(parts, threads, [&](int first, int end) {
        std::vector<unsigned char> complete(n < size_t(PART) ? n : PART);
        std::vector<int> order;
        std::vector<T> room(run.room(table.size));
        for (int part = first; part < end; ++part) {
            const int from = part * PART, to = size_t(from) + PART < n ? from + PART : int(n);
            run.sort(table, complete.data(), from, to);
            for (const bool wanted : {true, false}) {
                order.clear();
                for (int i = from; i < to; ++i)
                    if (bool(complete[i - from]) == wanted) order.push_back(i);
                run.fit(table, fitted, wanted, order.data(), 0, int(order.size()), results.data(), reports.data(),
                        room.data());
            }
        }
    });
}

template <class T>
void add(nb::module_& m) {
    m.def("fit_windows", fit_windows<T>, nb::arg("image").noconvert(), nb::arg("weight").noconvert().none(),
          nb::arg("start"), nb::arg("shape"), nb::arg("limit"), nb::arg("own").none(), nb::arg("model"), nb::arg("rule"),
          nb::arg("results").noconvert(), nb::arg("reports").noconvert(), nb::arg("threads"));
}

}  // namespace

void add_windows(nb::module_& m) {
    add<float>(m);
    add<double>(m);
}

}  // namespace stemdisp
