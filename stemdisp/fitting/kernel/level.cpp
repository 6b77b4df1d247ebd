// The kernels for one instruction set.  Compiled once for each, with STEMDISP_LEVEL naming it and STEMDISP_BYTES the size
// of its vector registers.
#include "kernels.h"

#include "joint.h"

namespace stemdisp {
namespace STEMDISP_LEVEL {

template <class T>
using Vector = Lanes<T, STEMDISP_BYTES / int(sizeof(T))>;

template <class T, bool TAIL>
void render_bins(const Image& in, const T* image, T* residual, T* weight, double* totals, int from, int to) {
    for (int bin = from; bin < to; ++bin) {
        double* total = totals + 2 * bin;
        total[0] = total[1] = 0;
        for (int row = 0; row < BIN; ++row)
            render_row<Vector<T>, TAIL>(in.raster, in.columns, in.knots, in.profile, in.variance, in.bins, bin, row, image,
                                        residual, weight, 0, BIN / Vector<T>::width, total);
    }
}

template <class T>
void render(const Image& in, const T* image, T* residual, T* weight, double* totals, int from, int to) {
    (in.profile.tail > 0 ? render_bins<T, true> : render_bins<T, false>)(in, image, residual, weight, totals, from, to);
}

template <class T>
void slopes(const Image& in, int group, const T* weight, T* const* images, int from, int to) {
    for (int bin = from; bin < to; ++bin)
        for (int row = 0; row < BIN; ++row)
            (in.profile.tail > 0 ? slopes_row<Vector<T>, true> : slopes_row<Vector<T>, false>)(
                in.raster, in.columns, in.profile, in.bins, bin, row, group, weight, images, 0, BIN / Vector<T>::width);
}

template <class T>
void gather_all(const Image& in, const T* residual, double* sums, int from, int to) {
    for (int i = from; i < to; ++i)
        (in.profile.tail > 0 ? gather<Vector<T>, true, Alone> : gather<Vector<T>, false, Alone>)(
            in.raster, in.columns, in.profile, i, residual, sums + 8 * i, Alone());
}

template <class T, bool TAIL>
void project_all(const Image& in, const T* image, double* sums, int from, int to) {
    for (int i = from; i < to; ++i) {
        double* own = sums + 3 * i;
        own[1] = own[2] = 0;
        if (i < in.columns.n)
            project<Vector<T>>(in.raster, ColumnRow<Vector<T>, TAIL>(in.columns, in.profile, i), in.columns.radius[i],
                               image, own, Alone());
        else
            project<Vector<T>>(in.raster, KnotRow<Vector<T>>(in.knots, i - in.columns.n), 0.0, image, own, Alone());
    }
}

template <class T>
void project(const Image& in, const T* image, double* sums, int from, int to) {
    (in.profile.tail > 0 ? project_all<T, true> : project_all<T, false>)(in, image, sums, from, to);
}

template <class T, bool TAIL>
void pairs_all(const Image& in, const T* weight, const int* pairs, double* blocks, int from, int to) {
    using Column = ColumnRow<Vector<T>, TAIL>;
    using Knot = KnotRow<Vector<T>>;
    const int n = in.columns.n;
    const double* radius = in.columns.radius;
    for (int m = from; m < to; ++m) {
        const int i = pairs[2 * m], j = pairs[2 * m + 1];
        double* block = blocks + 9 * m;
        if (j < n)
            pair<Vector<T>>(in.raster, Column(in.columns, in.profile, i), radius[i], Column(in.columns, in.profile, j),
                            radius[j], weight, block, Alone());
        else if (i < n)
            pair<Vector<T>>(in.raster, Column(in.columns, in.profile, i), radius[i], Knot(in.knots, j - n), 0.0, weight,
                            block, Alone());
        else
            pair<Vector<T>>(in.raster, Knot(in.knots, i - n), 0.0, Knot(in.knots, j - n), 0.0, weight, block, Alone());
    }
}

template <class T>
void pairs(const Image& in, const T* weight, const int* list, double* blocks, int from, int to) {
    (in.profile.tail > 0 ? pairs_all<T, true> : pairs_all<T, false>)(in, weight, list, blocks, from, to);
}

template <class T>
constexpr JointKernels<T> joint() {
    return {render<T>, slopes<T>, gather_all<T>, project<T>, pairs<T>};
}

}  // namespace STEMDISP_LEVEL

#define STEMDISP_TEXT2(x) #x
#define STEMDISP_TEXT(x) STEMDISP_TEXT2(x)
#define STEMDISP_JOIN2(a, b) a##b
#define STEMDISP_JOIN(a, b) STEMDISP_JOIN2(a, b)

extern const Kernels STEMDISP_JOIN(kernels_, STEMDISP_LEVEL) = {
    STEMDISP_TEXT(STEMDISP_LEVEL),
    STEMDISP_LEVEL::joint<float>(),
    STEMDISP_LEVEL::joint<double>(),
};

}  // namespace stemdisp
