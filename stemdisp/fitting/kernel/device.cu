// The fit of single columns on a GPU, one column a thread.
//
// Compiled at run time by NVRTC, for one number type (STEMDISP_SCALAR) and one kind of model at a time.
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
    STEMDISP_INLINE Number power(int u, int i) const {
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
