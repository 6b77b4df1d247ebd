// The kernels as compiled for one instruction set: a table of functions, each working through a range of tasks.
#pragma once

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

template <class T>
struct JointKernels {
    void (*render)(const Image&, const T* image, T* residual, T* weight, double* totals, int from, int to);
    void (*slopes)(const Image&, int group, const T* weight, T* const* slopes, int from, int to);
    void (*gather)(const Image&, const T* residual, double* sums, int from, int to);
    void (*project)(const Image&, const T* const* images, int count, double* sums, int from, int to);
    void (*pairs)(const Image&, const T* weight, const int* pair, double* blocks, int from, int to);
};

struct Kernels {
    const char* name;
    JointKernels<float> joint_float;
    JointKernels<double> joint_double;
};

#ifndef __CUDACC__
// The tables that were compiled; those above `baseline` exist where the compiler and processor family allow.
extern const Kernels kernels_baseline;
#ifdef STEMDISP_X86_LEVELS
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif
#endif

}  // namespace stemdisp
