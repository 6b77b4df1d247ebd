// The kernels on a GPU: window.h with one column a thread, joint.h with one pixel a thread or one task a warp.
//
// Compiled at run time by NVRTC, for one number type (STEMDISP_SCALAR) at a time; STEMDISP_WINDOW picks the fit of single
// columns, for one kind of model, else the sums of the joint fit are compiled.
#ifdef STEMDISP_WINDOW

#include "window.h"

namespace stemdisp {
namespace device {

using T = STEMDISP_SCALAR;
using Number = Lanes<T, 1>;

// A window in memory: its pixels lie `stride` numbers apart, so that neighbouring threads read neighbouring numbers.
struct Column {
    int size;
    long long stride;
    T *pixels, *weights;

    STEMDISP_INLINE Number raw(int k) const { return Number(pixels[k * stride]); }
    STEMDISP_INLINE Number data(int k) const { return Number(pixels[k * stride]); }
    STEMDISP_INLINE Number weight(int k) const { return Number(weights[k * stride]); }
    STEMDISP_INLINE void add(int k, Number value) { pixels[k * stride] += value.v; }
    STEMDISP_INLINE Number pivot() const { return raw(size * size / 2); }
    STEMDISP_INLINE T power(int u, int i) const {
        const T x(u);
        return i == 1 ? x : (i == 2 ? x * x : (i == 3 ? x * x * x : x * x * (x * x)));
    }
    STEMDISP_INLINE void normalise(Number mean, Number factor) {
        for (int k = 0; k < size * size; ++k) pixels[k * stride] = (pixels[k * stride] - mean.v) * factor.v;
    }
};

struct Row {
    double* results;
    int* reports;
    int x, y;
    STEMDISP_INLINE void put(int n, Number value) {
        results[n] = double(value.v) + (n == 1 ? double(x) : (n == 2 ? double(y) : 0.0));
    }
    STEMDISP_INLINE void report(int n, Number value) { reports[n] = int(value.v); }
};

STEMDISP_INLINE int nearest(double x) { return int(floor(x + 0.5)); }

// Copies a window; an unused pixel becomes 0 with weight 0.
STEMDISP_INLINE void copy(const WindowTable<T>& in, int i, int x, int y, const Column& to) {
    const int h = in.size / 2;
    for (int v = -h; v <= h; ++v)
        for (int u = -h; u <= h; ++u) {
            const long long k = ((v + h) * in.size + u + h) * to.stride;
            const int px = x + u, py = y + v;
            T value(0), weight(0);
            if (px >= 0 && py >= 0 && px < in.nx && py < in.ny) {
                const long long place = (long long)py * in.nx + px;
                const double dx = px - in.start[2 * i], dy = py - in.start[2 * i + 1];
                const T seen = in.image[place], given = in.weight ? in.weight[place] : T(1);
                if (dx * dx + dy * dy <= in.radius * in.radius && seen - seen == T(0) && given > T(0) &&
                    given - given == T(0)) {
                    value = seen;
                    weight = given;
                }
            }
            to.pixels[k] = value;
            if (STEMDISP_WEIGHTED) to.weights[k] = weight;
        }
}

}  // namespace device
}  // namespace stemdisp

extern "C" __global__ void fit_windows(const stemdisp::WindowTable<STEMDISP_SCALAR>* table, double tail, double wide,
                                       STEMDISP_SCALAR* pixels, STEMDISP_SCALAR* weights, const int* order, int count,
                                       double* results, int* reports) {
    using namespace stemdisp;
    using namespace stemdisp::device;
    const int lane = blockIdx.x * blockDim.x + threadIdx.x;
    if (lane >= count) return;
    using Fit = WindowFit<Number, STEMDISP_SHAPE, STEMDISP_PLANE, STEMDISP_TAIL, STEMDISP_POISSON, STEMDISP_WEIGHTED>;
    const WindowTable<T> in = *table;
    const int i = order[lane];
    const int x = nearest(in.start[2 * i]), y = nearest(in.start[2 * i + 1]);
    Column column{in.size, count, pixels + lane, weights + lane};
    copy(in, i, x, y, column);
    Fit::Task task;
    task.x = T(in.start[2 * i] - x), task.y = T(in.start[2 * i + 1] - y);
    task.a = T(in.shape[3 * i]), task.b = T(in.shape[3 * i + 1]), task.c = T(in.shape[3 * i + 2]);
    task.limit = T(in.limit[i]), task.own = T(in.own ? in.own[i] : 0), task.owned = in.own != nullptr;
    task.tail = T(tail), task.wide = T(wide), task.ridge = T(in.ridge);
    task.tolerance = T(in.tolerance), task.most = in.most;
    Row row{results + (long long)RESULTS * i, reports + (long long)REPORTS * i, x, y};
    Fit fit;
    fit.fit(column, task, row);
}

#else

#include "joint.h"
#include "kernels.h"

namespace stemdisp {
namespace device {

using T = STEMDISP_SCALAR;
using Number = Lanes<T, 1>;
using Column = ColumnRow<Number, STEMDISP_TAIL>;
using Knot = KnotRow<Number>;

// The 32 threads of a warp share the pixels of a task; all of them end up with the sum.
struct Warp {
    static constexpr int size = 32;
    int rank;
    STEMDISP_INLINE double sum(double x) const {
        for (int away = 16; away > 0; away /= 2) x += __shfl_xor_sync(0xffffffffu, x, away);
        return x;
    }
};

STEMDISP_INLINE int task_of_warp() { return int((blockIdx.x * blockDim.x + threadIdx.x) / 32); }

}  // namespace device
}  // namespace stemdisp

using namespace stemdisp;
using namespace stemdisp::device;

// One block of 16 x 16 threads a bin.
extern "C" __global__ void render_bins(const Image* in, const T* image, T* residual, T* weight, double* totals) {
    __shared__ double squares[BIN * BIN], counts[BIN * BIN];
    const int bin = blockIdx.x, own = threadIdx.y * BIN + threadIdx.x;
    double total[2] = {0, 0};
    stemdisp::device::render<Number, STEMDISP_TAIL, 1, 1>(in->raster, in->columns, in->knots, in->profile, in->variance,
                                                          in->bins, bin, threadIdx.y, threadIdx.x, image, residual, weight,
                                                          total);
    squares[own] = total[0];
    counts[own] = total[1];
    for (int half = BIN * BIN / 2; half > 0; half /= 2) {
        __syncthreads();
        if (own < half) {
            squares[own] += squares[own + half];
            counts[own] += counts[own + half];
        }
    }
    if (own == 0) {
        totals[2 * bin] = squares[0];
        totals[2 * bin + 1] = counts[0];
    }
}

extern "C" __global__ void slopes_bins(const Image* in, int group, const T* weight, T* first, T* second, T* third,
                                       T* fourth) {
    T* const images[4] = {first, second, third, fourth};
    stemdisp::device::slopes<Number, STEMDISP_TAIL, 1, 1>(in->raster, in->columns, in->profile, in->bins, blockIdx.x,
                                                          threadIdx.y, threadIdx.x, group, weight, images);
}

// One warp a column, an element or a pair.
extern "C" __global__ void gather_columns(const Image* in, const T* residual, double* sums) {
    const int i = task_of_warp();
    if (i >= in->columns.n) return;
    double own[9];
    stemdisp::device::gather<Number, STEMDISP_TAIL>(in->raster, in->columns, in->profile, i, residual, own,
                                                    Warp{int(threadIdx.x % 32)});
    if (threadIdx.x % 32 == 0)
        for (int n = 0; n < 9; ++n) sums[9 * (long long)i + n] = own[n];
}

template <int IMAGES>
STEMDISP_INLINE void project_element(const Image& in, int i, const T* const* images, double* sums) {
    double own[3 * IMAGES] = {};
    const Warp team{int(threadIdx.x % 32)};
    if (i < in.columns.n)
        stemdisp::device::project<Number, IMAGES>(in.raster, Column(in.columns, in.profile, i), images, own, team);
    else
        stemdisp::device::project<Number, IMAGES>(in.raster, Knot(in.knots, i - in.columns.n), images, own, team);
    if (team.rank == 0)
        for (int n = 0; n < 3 * IMAGES; ++n) sums[3 * IMAGES * (long long)i + n] = own[n];
}

extern "C" __global__ void project_elements(const Image* in, const T* first, const T* second, const T* third,
                                            const T* fourth, int count, double* sums, int from, int to) {
    const int i = from + task_of_warp();
    if (i >= to) return;
    const T* const images[4] = {first, second, third, fourth};
    switch (count) {
        case 1: return project_element<1>(*in, i, images, sums);
        case 2: return project_element<2>(*in, i, images, sums);
        case 3: return project_element<3>(*in, i, images, sums);
        default: return project_element<4>(*in, i, images, sums);
    }
}

extern "C" __global__ void pairs_elements(const Image* in, const T* weight, const int* pairs, int count, double* blocks) {
    const int m = task_of_warp();
    if (m >= count) return;
    const int i = pairs[2 * m], j = pairs[2 * m + 1], n = in->columns.n;
    const Warp team{int(threadIdx.x % 32)};
    double block[9];
    if (j < n)
        pair<Number>(in->raster, Column(in->columns, in->profile, i), Column(in->columns, in->profile, j), weight, block,
                     team);
    else if (i < n)
        pair<Number>(in->raster, Column(in->columns, in->profile, i), Knot(in->knots, j - n), weight, block, team);
    else
        pair<Number>(in->raster, Knot(in->knots, i - n), Knot(in->knots, j - n), weight, block, team);
    if (team.rank == 0)
        for (int k = 0; k < 9; ++k) blocks[9 * (long long)m + k] = block[k];
}

#endif
