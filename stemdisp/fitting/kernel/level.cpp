// The kernels for one instruction set.  Compiled once for each, with STEMDISP_LEVEL naming it and STEMDISP_BYTES the size
// of its vector registers.
#include "kernels.h"

#include "joint.h"

namespace stemdisp {
namespace STEMDISP_LEVEL {

template <class T>
using Vector = Lanes<T, STEMDISP_BYTES / int(sizeof(T))>;

template <class T>
constexpr int VECTORS = BIN / Vector<T>::width;

template <class T, bool TAIL>
void render_bins(const Image& in, const T* image, T* residual, T* weight, double* totals, int from, int to) {
    for (int bin = from; bin < to; ++bin) {
        double* total = totals + 2 * bin;
        total[0] = total[1] = 0;
        render<Vector<T>, TAIL, BIN, VECTORS<T>>(in.raster, in.columns, in.knots, in.profile, in.variance, in.bins, bin, 0, 0,
                                                 image, residual, weight, total);
    }
}

template <class T>
void render_all(const Image& in, const T* image, T* residual, T* weight, double* totals, int from, int to) {
    (in.profile.tailed ? render_bins<T, true> : render_bins<T, false>)(in, image, residual, weight, totals, from, to);
}

// Four rows at a time: more sums than that do not stay in registers.
template <class T, bool TAIL>
void slopes_bins(const Image& in, int group, const T* weight, T* const* images, int from, int to) {
    for (int bin = from; bin < to; ++bin)
        for (int row = 0; row < BIN; row += 4)
            slopes<Vector<T>, TAIL, 4, VECTORS<T>>(in.raster, in.columns, in.profile, in.bins, bin, row, 0, group, weight,
                                                   images);
}

template <class T>
void slopes_all(const Image& in, int group, const T* weight, T* const* images, int from, int to) {
    (in.profile.tailed ? slopes_bins<T, true> : slopes_bins<T, false>)(in, group, weight, images, from, to);
}

template <class T, bool TAIL>
void gather_columns(const Image& in, const T* residual, double* sums, int from, int to) {
    for (int i = from; i < to; ++i)
        gather<Vector<T>, TAIL>(in.raster, in.columns, in.profile, i, residual, sums + 9 * i, Alone());
}

template <class T>
void gather_all(const Image& in, const T* residual, double* sums, int from, int to) {
    (in.profile.tailed ? gather_columns<T, true> : gather_columns<T, false>)(in, residual, sums, from, to);
}

template <class T, bool TAIL, int IMAGES>
void project_elements(const Image& in, const T* const* images, double* sums, int from, int to) {
    for (int i = from; i < to; ++i) {
        double* own = sums + 3 * IMAGES * i;
        for (int n = 0; n < 3 * IMAGES; ++n) own[n] = 0;
        if (i < in.columns.n)
            project<Vector<T>, IMAGES>(in.raster, ColumnRow<Vector<T>, TAIL>(in.columns, in.profile, i), images, own,
                                       Alone());
        else
            project<Vector<T>, IMAGES>(in.raster, KnotRow<Vector<T>>(in.knots, i - in.columns.n), images, own, Alone());
    }
}

template <class T, bool TAIL>
void project_images(const Image& in, const T* const* images, int count, double* sums, int from, int to) {
    switch (count) {
        case 1: return project_elements<T, TAIL, 1>(in, images, sums, from, to);
        case 2: return project_elements<T, TAIL, 2>(in, images, sums, from, to);
        case 3: return project_elements<T, TAIL, 3>(in, images, sums, from, to);
        default: return project_elements<T, TAIL, 4>(in, images, sums, from, to);
    }
}

template <class T>
void project_all(const Image& in, const T* const* images, int count, double* sums, int from, int to) {
    (in.profile.tailed ? project_images<T, true> : project_images<T, false>)(in, images, count, sums, from, to);
}

template <class T, bool TAIL>
void pairs_elements(const Image& in, const T* weight, const int* pairs, double* blocks, int from, int to) {
    using Column = ColumnRow<Vector<T>, TAIL>;
    using Knot = KnotRow<Vector<T>>;
    const int n = in.columns.n;
    for (int m = from; m < to; ++m) {
        const int i = pairs[2 * m], j = pairs[2 * m + 1];
        double* block = blocks + 9 * m;
        if (j < n)
            pair<Vector<T>>(in.raster, Column(in.columns, in.profile, i), Column(in.columns, in.profile, j), weight, block,
                            Alone());
        else if (i < n)
            pair<Vector<T>>(in.raster, Column(in.columns, in.profile, i), Knot(in.knots, j - n), weight, block, Alone());
        else
            pair<Vector<T>>(in.raster, Knot(in.knots, i - n), Knot(in.knots, j - n), weight, block, Alone());
    }
}

template <class T>
void pairs_all(const Image& in, const T* weight, const int* list, double* blocks, int from, int to) {
    (in.profile.tailed ? pairs_elements<T, true> : pairs_elements<T, false>)(in, weight, list, blocks, from, to);
}

template <class T>
constexpr JointKernels<T> joint() {
    return {render_all<T>, slopes_all<T>, gather_all<T>, project_all<T>, pairs_all<T>};
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
