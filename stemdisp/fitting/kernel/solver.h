// The normal equations of a joint fit, solved by conjugate gradients, and the errors they imply.
#pragma once

#include <functional>

#include "tables.h"

#ifndef STEMDISP_LEVEL
#define STEMDISP_LEVEL baseline
#endif

namespace stemdisp {

using Share = std::function<void(int, const std::function<void(int, int)>&)>;

// Curvature of E elements (columns, then knots) of 3 parameters each and of S shared ones.
template <class T>
struct System {
    Graph graph;
    const T* block;             // (m, 9) curvature of i (rows) with j; symmetric where i = j
    const double* extra;        // (E, 3) what is added to the diagonal
    const unsigned char* free;  // (E, 3) parameters that are fitted
    const int* tied;            // (columns, 3) elements whose mean amplitude a column takes, or -1
    int shared;                 // S
    const double* border;       // (S, E, 3) curvature of shared and own parameters
    const double* corner;       // (S, S)
    int groups;                 // kinds of columns
    const int* group;           // (columns,) kind of each
    const double* height;       // (columns,) amplitude of each
    double damping;             // added to the diagonal, relative to it
};

namespace STEMDISP_LEVEL {

// Solves for the steps `x` (E, 3) and `y` (S) of gradients `g` (E, 3) and `h` (S) until the residual, in the norm of the
// preconditioner, has fallen to `tolerance` of what it was; returns the number of iterations.
//
// Computes in the precision of the blocks.  Single is enough where the equations give steps, which need only point the right
// way, and memory is what bounds their solution; double, where a fit is to end at the same place whatever way it is turned.
template <class T>
int solve(const System<T>& s, const double* g, const double* h, double* x, double* y, double tolerance, int most,
          const Share& share);

// Inverse curvature (n, 9) of the first three parameters of each column with its `near` (n, m) neighbours free too, the
// column itself first among them.  NaN where it is not determined.
template <class T>
void covariance(const System<T>& s, const int* near, int n, int m, double* result, const Share& share);

}  // namespace STEMDISP_LEVEL
}  // namespace stemdisp
