// What the fit of single columns is given and gives back: plain tables of numbers, the same on a CPU and on a GPU.
#pragma once

namespace stemdisp {

constexpr int LARGEST_WINDOW = 129;  // px along a side

// Free parameters of a column's shape, whose exponent is a dx^2 + 2 b dx dy + c dy^2: none, one factor common to a, b and
// c, or all three.
enum Shaped { SHARED = 0, CIRCULAR = 1, ELLIPTICAL = 2 };

enum Status { CONVERGED = 0, AT_LIMIT = 1, FEW_PIXELS = 2, SINGULAR = 3, NOT_CONVERGED = 4 };

constexpr int RESULTS = 25;  // numbers a column gives back
// amplitude, x, y, a, b, c, level at (x, y), slopes by x and y, mean square residual, covariance of (amplitude, x, y) as
// its 6 different elements row by row, variance of the level and of the two slopes, covariance of (a, b, c) like the first
constexpr int REPORTS = 3;  // status, evaluations of the model, pixels used

struct WindowModel {
    int shape;           // Shaped
    bool plane;          // a plane under the column, else a constant
    bool poisson;        // counts, else least squares
    double tail, wide;   // second component: its share of the height, and 1 / (ratio of widths)^2
};

// Windows of size x size pixels around n columns of an image (ny, nx).  An unused pixel is no number, or has weight 0.
template <class T>
struct WindowTable {
    int n, size, nx, ny;
    const T *image, *weight;  // weight: null for 1
    const double* start;      // (n, 2)
    const double* shape;      // (n, 3): a, b, c
    const double* limit;      // (n): how far from its start a column may go, px
    const double* own;        // (n): height of the column itself, taken off the image as it is at its start; null for 0
    double radius;            // pixels farther from the start are not used; infinite for all of the square
    double ridge;             // 1 / variance that the slopes of the plane are allowed
    double tolerance;         // px
    int most;                 // evaluations of the model
};

}  // namespace stemdisp
