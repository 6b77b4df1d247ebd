// The normal equations of a joint fit, solved by conjugate gradients, and the errors they imply.
#pragma once

#include <functional>

namespace stemdisp {

using Share = std::function<void(int, const std::function<void(int, int)>&)>;

// Curvature of E elements (columns, then knots) of 3 parameters each and of S shared ones.
struct System {
    int columns, elements, shared;
    const int* pair;            // (m, 2) elements i <= j
    const double* block;        // (m, 9) curvature of i (rows) with j; symmetric where i = j
    const int *first, *other, *entry;  // neighbours of element e: other[first[e]]..., their pair entry[...]
    const int* own;             // (E,) the pair of an element with itself
    const unsigned char* free;  // (3 E,) parameters that are fitted
    const int* tied;            // (columns, 3) elements whose mean amplitude a column takes, or -1
    const double* border;       // (S, 3 E) curvature of shared and own parameters
    const double* corner;       // (S, S)
    int groups;                 // kinds of columns
    const int* group;           // (columns,) kind of each
    const double* height;       // (columns,) amplitude of each
    double damping;             // added to the diagonal, relative to it
};

// Solves for the steps `x` (3 E) and `y` (S) of gradients `g` (3 E) and `h` (S) until the residual, in the norm of the
// preconditioner, has fallen to `tolerance` of what it was; returns the number of iterations.
int solve(const System& s, const double* g, const double* h, double* x, double* y, double tolerance, int most,
          const Share& share);

// Inverse curvature (n, 9) of the first three parameters of each column with its `near` (n, m) neighbours free too, the
// column itself first among them.  NaN where it is not determined.
void covariance(const System& s, const int* near, int n, int m, double* result, const Share& share);

}  // namespace stemdisp
