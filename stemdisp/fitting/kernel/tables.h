// What the kernels are given: plain tables of numbers, the same on a CPU and on a GPU.
#pragma once

namespace stemdisp {

constexpr int BIN = 16;     // pixels along a side of a bin
constexpr int MARGIN = 16;  // unused pixels behind each row of an image, so that a vector may read past its end

// A sampled image: pixel i stands at x0 + step * i; rows are `stride` numbers apart.
struct Raster {
    int nx, ny, stride;
    double x0, y0, step;
};

// n columns: position now, centre and radius of the disc (px), amplitude, 0.5 / sigma^2, height of the profile at the rim
// of the disc and (n, 3) its derivatives by log sigma, w and log k.
struct ColumnTable {
    int n, groups;
    const double *xy, *start, *radius, *amplitude, *half, *rim, *rim_slopes;
    const int* group;
};

// The background's knots: value (ny, nx), first place and spacing (px).
struct KnotTable {
    int nx, ny;
    double x0, y0, spacing;
    const double* value;
};

struct Profile {
    double m00, m01, m11;     // metric M
    double m1, m2;            // its stretch
    double tail, wide;        // w and 1 / k^2
    bool tailed;              // whether there is a tail at all, be its weight 0 at the moment
};

// Variance of a pixel is offset + gain * model, at least floor.
struct Variance {
    double offset, gain, floor;
};

struct Bins {
    int nx, ny;
    const int *first, *column;  // columns of bin b: column[first[b]] to column[first[b + 1] - 1]
};

// Which of E elements (columns, then knots) overlap, as numbered pairs i <= j: the later and the earlier neighbours of element
// e are other[first[e]] to other[first[e + 1] - 1], ascending; entry: the number of that pair; own: that of e with itself.
// `pair` (pairs, 2) are sorted; from `knot_pairs` on they are of two knots.
struct Graph {
    int columns, elements, knot_pairs, pairs;
    const int *pair, *first, *other, *entry, *own;
};

}  // namespace stemdisp
