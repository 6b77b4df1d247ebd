// The fits of single columns for one instruction set.  Compiled once for each, as level.cpp is.  Nothing here may come from
// templates of the standard library: a linker keeps one copy of those, made for whichever instruction set.
#include "window.h"

#include <cmath>

#include "transpose.h"

#include "window_kernels.h"

namespace stemdisp {
namespace STEMDISP_LEVEL {
namespace {

template <class T>
using Vector = Widest<T>;

// Windows of W columns, pixel by pixel, the lanes of one pixel side by side.
template <class L>
struct Scratch {
    using T = typename L::Scalar;
    static constexpr int W = L::width;
    int size;
    T *pixels, *weights;
    const T* powers;

    STEMDISP_INLINE L raw(int k) const { return L::load(pixels + k * W); }
    STEMDISP_INLINE L data(int k) const { return L::load(pixels + k * W); }
    STEMDISP_INLINE L weight(int k) const { return L::load(weights + k * W); }
    STEMDISP_INLINE void add(int k, L value) { (raw(k) + value).store(pixels + k * W); }
    STEMDISP_INLINE L pivot() const { return raw(size * size / 2); }
    STEMDISP_INLINE L power(int u, int i) const { return L::load(powers + (4 * u + i - 1) * W); }
    STEMDISP_INLINE void normalise(L mean, L factor) {
        for (int k = 0; k < size * size; ++k) ((raw(k) - mean) * factor).store(pixels + k * W);
    }
};

// Puts the results of all lanes into the table's rows.
template <class L>
struct Rows {
    const int* row;
    const double* start;
    const int* middle;  // (W, 2)
    int count;
    double* results;
    int* reports;

    STEMDISP_INLINE void put(int n, L value) {
        for (int k = 0; k < count; ++k) {
            double number = double(value.lane(k));
            if (n == 1 || n == 2) number += middle[2 * k + n - 1];
            results[size_t(row[k]) * RESULTS + n] = number;
        }
    }
    STEMDISP_INLINE void report(int n, L value) {
        for (int k = 0; k < count; ++k) reports[size_t(row[k]) * REPORTS + n] = int(value.lane(k));
    }
};

int nearest(double x) { return int(std::floor(x + 0.5)); }

// Whether all of a window's pixels are finite.
template <class T>
bool numbers(const T* corner, int stride, int size) {
    using L = Vector<T>;
    if (size < L::width) {
        T rest(0);
        for (int v = 0; v < size; ++v)
            for (int u = 0; u < size; ++u) rest += corner[size_t(v) * stride + u] - corner[size_t(v) * stride + u];
        return rest == T(0);
    }
    L rest(T(0));
    for (int v = 0; v < size; ++v)
        for (int u = 0; u < size; u += L::width) {
            const L x = L::load(corner + size_t(v) * stride + (u + L::width <= size ? u : size - L::width));
            rest = rest + (x - x);
        }
    return rest.sum() == T(0);
}

template <class T>
void sort(const WindowTable<T>& in, unsigned char* complete, int from, int to) {
    const int h = in.size / 2;
    for (int i = from; i < to; ++i) {
        const int x = nearest(in.start[2 * i]), y = nearest(in.start[2 * i + 1]);
        unsigned char& whole = complete[i - from];
        whole = !in.weight && std::isinf(in.radius) && x >= h && y >= h && x + h < in.nx && y + h < in.ny;
        if (whole) whole = numbers(in.image + size_t(y - h) * in.nx + x - h, in.nx, in.size);
    }
}

// Windows of all lanes that have all their pixels: as many pixels of a row as there are lanes at once.
template <class L>
void gather_complete(const WindowTable<typename L::Scalar>& in, const int* middle, typename L::Scalar* pixels) {
    constexpr int W = L::width;
    const int h = in.size / 2;
    const size_t all = size_t(in.nx) * in.ny;
    for (int v = 0; v < in.size; ++v) {
        size_t place[W], last = 0;
        for (int k = 0; k < W; ++k) {
            place[k] = size_t(middle[2 * k + 1] - h + v) * in.nx + middle[2 * k] - h;
            if (place[k] > last) last = place[k];
        }
        auto* const to = pixels + size_t(v) * in.size * W;
        if (last + W > all) {
            for (int u = 0; u < in.size; ++u)
                for (int k = 0; k < W; ++k) to[u * W + k] = in.image[place[k] + u];
            continue;
        }
        for (int u = 0; u < in.size; u += W) {
            // The last pixels of a row are read together with some before them, or with what follows them.
            const int begin = u + W <= in.size || in.size < W ? u : in.size - W;
            L rows[W];
            for (int k = 0; k < W; ++k) rows[k] = L::load(in.image + place[k] + begin);
            transpose<1>(rows);
            for (int k = 0; k < W && begin + k < in.size; ++k) rows[k].store(to + (begin + k) * W);
        }
    }
}

template <class T>
void gather_part(const WindowTable<T>& in, int i, int x, int y, T* pixels, T* weights, int lanes) {
    const int h = in.size / 2;
    const double square = in.radius * in.radius;
    for (int v = -h; v <= h; ++v)
        for (int u = -h; u <= h; ++u) {
            const size_t k = size_t((v + h) * in.size + u + h) * lanes;
            pixels[k] = weights[k] = T(0);
            const int px = x + u, py = y + v;
            if (px < 0 || py < 0 || px >= in.nx || py >= in.ny) continue;
            const double dx = px - in.start[2 * i], dy = py - in.start[2 * i + 1];
            const T value = in.image[size_t(py) * in.nx + px];
            if (dx * dx + dy * dy > square || !(value - value == T(0))) continue;
            const T weight = in.weight ? in.weight[size_t(py) * in.nx + px] : T(1);
            if (!(weight > T(0)) || !(weight - weight == T(0))) continue;
            pixels[k] = value;
            weights[k] = weight;
        }
}

template <class L, int SHAPE, bool PLANE, bool TAIL, bool POISSON, bool WEIGHTED>
void fit(const WindowTable<typename L::Scalar>& in, const WindowModel& model, const int* order, int from, int to,
         double* results, int* reports, typename L::Scalar* room) {
    using T = typename L::Scalar;
    using Fit = WindowFit<L, SHAPE, PLANE, TAIL, POISSON, WEIGHTED>;
    constexpr int W = L::width;
    const int pixels = in.size * in.size, half = in.size / 2;
    T *const weights = room + size_t(pixels) * W, *const powers = weights + size_t(pixels) * W;
    for (int u = 0; u <= half; ++u) {
        L power = L(T(1));
        for (int i = 0; i < 4; ++i) {
            power = power * L(T(u));
            power.store(powers + (4 * u + i) * W);
        }
    }
    Scratch<L> scratch{in.size, room, weights, powers};
    for (int block = from; block < to; block += W) {
        const int count = to - block < W ? to - block : W;
        int middle[2 * W];
        typename Fit::Task task;
        task.tail = T(model.tail), task.wide = T(model.wide), task.ridge = T(in.ridge);
        task.tolerance = T(in.tolerance), task.most = in.most;
        task.owned = in.own != nullptr;
        for (int k = 0; k < W; ++k) {
            const int i = order[block + (k < count ? k : 0)];
            const int x = middle[2 * k] = nearest(in.start[2 * i]), y = middle[2 * k + 1] = nearest(in.start[2 * i + 1]);
            if (WEIGHTED)
                gather_part(in, i, x, y, scratch.pixels + k, scratch.weights + k, W);
            task.x.set(k, T(in.start[2 * i] - x));
            task.y.set(k, T(in.start[2 * i + 1] - y));
            task.a.set(k, T(in.shape[3 * i]));
            task.b.set(k, T(in.shape[3 * i + 1]));
            task.c.set(k, T(in.shape[3 * i + 2]));
            task.limit.set(k, T(in.limit[i]));
            task.own.set(k, in.own ? T(in.own[i]) : T(0));
        }
        if (!WEIGHTED) gather_complete<L>(in, middle, scratch.pixels);
        Rows<L> rows{order + block, in.start, middle, count, results, reports};
        Fit one;
        one.fit(scratch, task, rows);
    }
}

template <class L>
using Function = void (*)(const WindowTable<typename L::Scalar>&, const WindowModel&, const int*, int, int, double*, int*,
                          typename L::Scalar*);

// Only least squares with one component has an instance without weights: elsewhere they cost little.
template <class L, int SHAPE, bool PLANE>
Function<L> of_likelihood(const WindowModel& model, bool complete) {
    if (model.poisson)
        return model.tail > 0 ? fit<L, SHAPE, PLANE, true, true, true> : fit<L, SHAPE, PLANE, false, true, true>;
    if (model.tail > 0) return fit<L, SHAPE, PLANE, true, false, true>;
    return complete ? fit<L, SHAPE, PLANE, false, false, false> : fit<L, SHAPE, PLANE, false, false, true>;
}

template <class L, int SHAPE>
Function<L> of_background(const WindowModel& model, bool complete) {
    return model.plane ? of_likelihood<L, SHAPE, true>(model, complete) : of_likelihood<L, SHAPE, false>(model, complete);
}

template <class T>
void fit_all(const WindowTable<T>& in, const WindowModel& model, bool complete, const int* order, int from, int to,
             double* results, int* reports, T* room) {
    using L = Vector<T>;
    (model.shape == SHARED     ? of_background<L, SHARED>(model, complete)
     : model.shape == CIRCULAR ? of_background<L, CIRCULAR>(model, complete)
                               : of_background<L, ELLIPTICAL>(model, complete))(in, model, order, from, to, results,
                                                                                reports, room);
}

}  // namespace
}  // namespace STEMDISP_LEVEL

#define STEMDISP_TEXT2(x) #x
#define STEMDISP_TEXT(x) STEMDISP_TEXT2(x)
#define STEMDISP_JOIN2(a, b) a##b
#define STEMDISP_JOIN(a, b) STEMDISP_JOIN2(a, b)

extern const WindowLevel STEMDISP_JOIN(windows_, STEMDISP_LEVEL) = {
    STEMDISP_TEXT(STEMDISP_LEVEL),
    {STEMDISP_LEVEL::Vector<float>::width, STEMDISP_LEVEL::sort<float>, STEMDISP_LEVEL::fit_all<float>},
    {STEMDISP_LEVEL::Vector<double>::width, STEMDISP_LEVEL::sort<double>, STEMDISP_LEVEL::fit_all<double>},
};

}  // namespace stemdisp
