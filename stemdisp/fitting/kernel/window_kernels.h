// The fits of single columns as compiled for one instruction set: a table of functions.
#pragma once

#include <cstddef>

#include "window_tables.h"

namespace stemdisp {

template <class T>
struct WindowKernels {
    int lanes;  // columns fitted side by side
    // Which windows of columns [from, to) have all their pixels, into complete[0..to - from).
    void (*sort)(const WindowTable<T>&, unsigned char* complete, int from, int to);
    // Fits the columns order[from] to order[to - 1], all of whose windows are complete, or not; in a `room` of numbers of
    // its own.
    void (*fit)(const WindowTable<T>&, const WindowModel&, bool complete, const int* order, int from, int to,
                double* results, int* reports, T* room);
    std::size_t room(int size) const { return (std::size_t(size) * size * 2 + std::size_t(size / 2 + 1) * 4) * lanes; }
};

struct WindowLevel {
    const char* name;
    WindowKernels<float> single;
    WindowKernels<double> twice;
};

extern const WindowLevel windows_baseline;
#ifdef STEMDISP_X86_LEVELS
extern const WindowLevel windows_avx2;
extern const WindowLevel windows_avx512;
#endif

}  // namespace stemdisp
