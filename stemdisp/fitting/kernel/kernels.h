// The kernels as compiled for one instruction set: a table of functions, each working through a range of tasks.
#pragma once

#include "solver.h"
#include "tables.h"

namespace stemdisp {

// Everything an image's sums need; images are float or double, as the table of functions says.
struct Image {
    Raster raster;
    ColumnTable columns;
    KnotTable knots;
    Profile profile;
    Variance variance;
    Bins bins;
};

// Sums that belong to one column, pair or pixel, to which bins add: gradient (n, 3), curvature of pairs (m, 9), border (S,
// elements, 3), image minus model and weight of each pixel.  Null: not asked.
template <class T>
struct Sums {
    double* columns;
    T* blocks;
    double* border;
    T *rest, *weight;
};

// Sums that bins far apart share, kept apart for each band of bins: gradients of knots and shape (S,), curvature of pairs
// of knots, border (S, knots), corner (S, S), lower half; weighted squares and number of pixels.
struct OwnSums {
    double *knots, *shape, *knot_pairs, *border, *corner, *squares, *pixels;
};

template <class T>
using SumBins = void (*)(const Image&, const Graph&, const T* image, const Sums<T>&, const OwnSums&, int from, int to);

// Functions of solver.h.
template <class T>
using Solve = int (*)(const System<T>&, const double*, const double*, double*, double*, double, int, const Share&);
template <class T>
using Covariance = void (*)(const System<T>&, const int*, int, int, double*, const Share&);

template <class T>
struct KernelsOf {
    SumBins<T> sums;
    Solve<T> solve;
    Covariance<T> covariance;
};

struct Kernels {
    const char* name;
    KernelsOf<float> single;
    KernelsOf<double> twice;

    template <class T>
    const KernelsOf<T>& of() const {
        if constexpr (sizeof(T) == sizeof(float))
            return single;
        else
            return twice;
    }
};

// The table in use.
extern const Kernels* active;

// The tables that were compiled; those above `baseline` exist where the compiler and processor family allow.
extern const Kernels kernels_baseline;
#ifdef STEMDISP_X86_LEVELS
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif

}  // namespace stemdisp
